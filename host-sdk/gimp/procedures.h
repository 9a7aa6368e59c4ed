/* The three procedures and their arguments, described once for both versions of GIMP and for the dialogs. */
#ifndef PROCEDURES_H
#define PROCEDURES_H

#include <glib.h>

/* No image, layer or path. */
#define NONE (-1)

typedef enum Work { WORK_LEARN, WORK_POSE, WORK_ERASE, WORKS } Work;

/* The values of all arguments; a procedure uses those it has. Texts are owned. */
typedef struct Settings {
    char *subject;
    char *consent;
    gboolean person;
    gboolean person_agrees;
    char *expires;
    int edge; /* ReposeRefine */
    char *recipe;
    char *caption;
    char *word;
    char *pins; /* as in pins.h, in pixels of the image */
    double move_x;
    double move_y;
    double scale;
    double rotate;
    int guide; /* a layer, or NONE */
    char *engine;
    char *prompt;
    /* How a text model poses, as ReposeText; empty, 0: a good default. */
    char *model;
    char *negative;
    char *source;
    char *sampler;
    double strength;
    double guidance;
    int steps;
    int candidates;
    int seed;
    int grow;
    int version;
} Settings;

typedef enum ArgKind { ARG_TEXT, ARG_INT, ARG_REAL, ARG_FLAG, ARG_CHOICE, ARG_LAYER } ArgKind;

/* One argument. `offset` says where in Settings its value is. */
typedef struct Arg {
    ArgKind kind;
    const char *name;
    const char *label;
    const char *help;
    gsize offset;
    double least;
    double most;
    double standard;
    const char *text;           /* the standard value of a text */
    const char *const *choices; /* of ARG_CHOICE: names for 0, 1, … ; ends with NULL */
} Arg;

typedef struct Procedure {
    const char *name;
    const char *menu;
    const char *blurb;
    const char *help;
    const Arg *args;
    guint arg_count;
    gboolean gives_layers;
} Procedure;

extern const Procedure PROCEDURES[WORKS];

/* Which of them this is, or WORKS. */
Work procedure_find(const char *name);

/* Where the value of an argument lies. The type is that of the kind: char *, int, double, gboolean, int, int. */
#define ARG_AT(settings, arg) G_STRUCT_MEMBER_P(settings, (arg)->offset)

/* Standard values for every argument of every procedure. Free with settings_clear(). */
void settings_init(Settings *settings);
void settings_clear(Settings *settings);

/* Replaces a text. `text` may be NULL. */
void settings_text(char **at, const char *text);

/* Checks what came from a script against the bounds in the table. */
gboolean settings_check(const Procedure *procedure, const Settings *settings, GError **error);

#endif
