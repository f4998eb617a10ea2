"""Which answers may train: each filter keeps an answer or names its reason."""
