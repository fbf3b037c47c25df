"""Edit operations: plan, application to variables, report, edit history."""
