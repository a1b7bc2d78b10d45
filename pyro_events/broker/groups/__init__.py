"""Groups: subscribers that share events. Each event goes to one member. Pure, as all of `broker/`."""
