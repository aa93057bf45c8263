"""A task that the tests alone have: how bright a photo is, and which of its quadrants is darkest.

It is here to show that a task is one folder: two outputs, one of which looks at positions; targets without groups, one
of which moves with the crop; and no file of the package knows of it.
"""
