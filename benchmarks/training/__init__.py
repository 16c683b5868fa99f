"""Speed of training: our towers against torch-rechub's YoutubeDNN, each in a process and an environment of its own."""
