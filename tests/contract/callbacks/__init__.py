"""One file a public callback: how the contract tries it."""
