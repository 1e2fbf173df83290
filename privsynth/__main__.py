"""`python -m privsynth`: the same as the command `privsynth`."""

from privsynth.cli import main

if __name__ == "__main__":
    main(prog_name="privsynth")
