"""Work on bytes of strangers, in child processes that hold nothing and can do nothing.

confinement  a process locks itself in: no file, socket or process any more, and limits that the kernel holds
child        inside: bytes in, JSON facts and two blocks of bytes out, until the other end closes the pipe
process      the handle on one child: believes nothing of what comes back, and ends it when it talks nonsense
pool         several of them: made when needed, replaced when they die, never shared between owners

What is done to the bytes is not here: `service.thumbnails.maker` reduces images, the workers' decoder checks
them.
"""
