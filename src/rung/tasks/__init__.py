"""Questions asked of a potential: barriers, vacancies, free energies, dynamics, relaxation, transport."""
