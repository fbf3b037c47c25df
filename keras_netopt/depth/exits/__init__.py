"""Early exits: attach, calibrate, run, export."""
