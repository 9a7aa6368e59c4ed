/* The list of learned subjects, with thumbnails. */
#ifndef SUBJECTS_H
#define SUBJECTS_H

#include <gtk/gtk.h>

typedef struct Subjects Subjects;
typedef void (*SubjectsChanged)(gpointer data);

/* Reads the library. `chosen` is chosen if it is there, else the newest that can be used. */
Subjects *subjects_new(const char *chosen, SubjectsChanged changed, gpointer data);
void subjects_free(Subjects *subjects);

GtkWidget *subjects_widget(Subjects *subjects);

/* The chosen subject's name, or NULL. Free with g_free(). */
char *subjects_chosen(const Subjects *subjects);

/* What the chosen subject is called in words, and what its picture shows ("" if it is not known), or NULL. Free with
 * g_free(). */
char *subjects_word(const Subjects *subjects);
char *subjects_caption(const Subjects *subjects);

/* Why the chosen subject cannot be used, or NULL if it can. Free with g_free(). */
char *subjects_problem(const Subjects *subjects);

#endif
