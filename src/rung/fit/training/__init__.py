"""The trainer: stages, schedule, sampling and loss, from packed rows to a trained model that resumes to the bit."""
