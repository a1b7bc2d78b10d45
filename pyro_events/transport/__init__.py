"""The parts that both ends of a connection need: TLS, keepalive, proof of the passphrase, addresses, name
server."""
