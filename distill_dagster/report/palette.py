"""The placeholder colours of the report's pictures, which become CSS variables of the page."""

COLOURS = {  # placeholder -> CSS variable; the placeholders are arbitrary, and occur nowhere else
    "#01a0f1": "--ink",
    "#02a0f2": "--muted",
    "#03a0f3": "--line",
    "#04a0f4": "--teacher",
    "#05a0f5": "--student",
    "#06a0f6": "--baseline",
    "#07a0f7": "--gold_student",
}
INK, MUTED, LINE, TEACHER, STUDENT, BASELINE, GOLD_STUDENT = COLOURS
ROLE_COLOURS = {"teacher": TEACHER, "student": STUDENT, "baseline": BASELINE, "gold_student": GOLD_STUDENT}
