"""Every component on several devices, against one device."""
