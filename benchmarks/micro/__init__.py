"""Files of the export in TFLite Micro."""
