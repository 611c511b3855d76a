"""Models behind OpenAI, Azure OpenAI and every server that speaks their language."""
