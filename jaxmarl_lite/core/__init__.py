"""The records that everything else is made of: TimeStep, Spec and the Env protocol."""
