"""What the rules of `export.advise` about x86 rest on."""
