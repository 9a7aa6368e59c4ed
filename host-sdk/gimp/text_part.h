/* A pose in words: the prompt, and folded away below it how a text model draws it. */
#ifndef TEXT_PART_H
#define TEXT_PART_H

#include "dialog.h"

typedef struct TextPart TextPart;

/* Adds the part to the panel, with the last settings in it, and begins to look which models there are. */
TextPart *text_part_new(Dialog *dialog, GtkWidget *side);
/* Waits for what is being looked for; the controls themselves belong to the dialog. */
void text_part_free(TextPart *part);

/* Tells what the chosen subject is called in words, and what its picture shows; both may be empty. */
void text_part_subject(TextPart *part, const char *word, const char *caption);

/* Why a prompt cannot be drawn, or NULL if it can or there is none. Free with g_free(). */
char *text_part_problem(const TextPart *part);

/* Controls → settings. */
void text_part_collect(const TextPart *part, Settings *settings);

/* What the user wrote about this layer, to be kept while GIMP runs. */
void text_part_keep(const TextPart *part);

#endif
