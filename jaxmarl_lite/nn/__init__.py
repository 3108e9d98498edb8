"""Networks: the Net record, its lifts over agents, and torsos."""
