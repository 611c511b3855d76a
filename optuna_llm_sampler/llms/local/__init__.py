"""Local weights in this process, by llama.cpp."""
