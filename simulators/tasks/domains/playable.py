from simulators.playable import *  # noqa: F403  (moves away when everybody imports simulators.playable)
from simulators.playable import PLAIN, FunctionWorld, Playable, PlayableState, ToolError  # noqa: F401
