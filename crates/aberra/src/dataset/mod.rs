//! Which images there are, what they show, which belong together, and how they are divided.
