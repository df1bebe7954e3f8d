"""Other protocols, as translations of a chat: what they ask for, and how they answer."""
