"""What a language model may do with privsynth, by the Model Context Protocol: read public releases and plan; no more.

It cannot spend budget, open a sensitive table or see an officer's figure: none of its tools can, whatever it is told to
do by a text that it has read.
"""
