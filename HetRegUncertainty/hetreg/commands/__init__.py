"""The commands of `python -m hetreg`, one file each: HELP, add_arguments(parser), run(arguments).

A file may also have how_to_go_on(arguments): the command that goes on after an interruption, or "".
"""
