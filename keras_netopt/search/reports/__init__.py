"""What a project folder of KerasTuner tells."""
