"""The service's entry in a name server, and the embedded name server."""
