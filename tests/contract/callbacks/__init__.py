"""One file per public callback: its settings in the contract."""
