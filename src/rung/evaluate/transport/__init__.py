"""Transport from trajectories: displacements, diffusivity, conductivity and Arrhenius fits."""
