"""The handshake: what the two sides of a connection say first, and how they prove the passphrase."""
