"""What result files hold: one definition of each, which writers, readers, reports and documentation share."""
