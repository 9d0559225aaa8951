"""What people agree to who add a voice or a portrait: shown to them, and kept word for word."""

VOICE = (
    "This is my own voice, or its owner has agreed that I use it here. It may be copied so that "
    "the face speaks with it, and is kept on this server until it is deleted."
)
PORTRAIT = (
    "This is a picture of me, or the person in it has agreed that I use it here. It may be "
    "animated so that it speaks, and is kept on this server until it is deleted."
)
