#ifndef OUTLINE_H
#define OUTLINE_H

/* Prints the sections of a settings file and how many settings each has; returns the line of the first mistake, or 0. */
int outline(const char *text);

#endif
