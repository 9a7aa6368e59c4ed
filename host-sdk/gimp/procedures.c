#include "procedures.h"

#include <math.h>
#include <string.h>

#include "engine.h"
#include "words.h"

#define AT(field) G_STRUCT_OFFSET(Settings, field)

static const char *const EDGES[] = {"automatic", "refine", "as-selected", NULL};

#define SUBJECT_ARG(words)                                                                                            \
    {.kind = ARG_TEXT, .name = "subject", .label = N_("Subject"), .help = words, .offset = AT(subject), .text = ""}
#define CANDIDATES_ARG                                                                                                \
    {.kind = ARG_INT, .name = "candidates", .label = N_("Candidates"), .help = N_("Results to choose from"),          \
     .offset = AT(candidates), .least = 1, .most = 16, .standard = 1}
#define SEED_ARG                                                                                                      \
    {.kind = ARG_INT, .name = "seed", .label = N_("Seed"),                                                            \
     .help = N_("The same settings and seed give the same pixels"), .offset = AT(seed), .least = 0, .most = G_MAXINT}
#define GROW_ARG                                                                                                      \
    {.kind = ARG_INT, .name = "grow", .label = N_("Grow selection by"),                                               \
     .help = N_("Pixels: what a tight selection leaves of the subject is cleared"), .offset = AT(grow), .least = 0,   \
     .most = 256, .standard = 3}

static const Arg LEARN_ARGS[] = {
    SUBJECT_ARG(N_("Name in the library; a name that is there already gets a new version")),
    {.kind = ARG_TEXT, .name = "consent", .label = N_("Who allows it, and for what"),
     .help = N_("Who allows the subject to be learned, and for what; required"), .offset = AT(consent), .text = ""},
    {.kind = ARG_FLAG, .name = "person", .label = N_("A real person's likeness"),
     .help = N_("The subject is a real person's likeness"), .offset = AT(person)},
    {.kind = ARG_FLAG, .name = "person-agrees", .label = N_("The person has said yes"),
     .help = N_("Required for a real person's likeness"), .offset = AT(person_agrees)},
    {.kind = ARG_TEXT, .name = "expires", .label = N_("Valid until (YYYY-MM-DD)"),
     .help = N_("Last day on which the subject may be used; empty: no end"), .offset = AT(expires), .text = ""},
    {.kind = ARG_CHOICE, .name = "edge", .label = N_("Edge"),
     .help = N_("Whether the selection's edge is refined to follow hair and fur"), .offset = AT(edge), .most = 2,
     .choices = EDGES},
    {.kind = ARG_TEXT, .name = "recipe", .label = N_("Recipe"), 
     .help = N_("How it is learned: patch; or by a text model: repose, textual-inversion, dreambooth-lora, "
                "custom-diffusion, single-insert, detex, lipe, dream-tuner or reference, which trains nothing"),
     .offset = AT(recipe), .text = "patch"},
    {.kind = ARG_TEXT, .name = "caption", .label = N_("The picture shows"),
     .help = N_("What the picture shows, such as: a teddy bear on a rock; for poses in words"), .offset = AT(caption), .text = ""},
    {.kind = ARG_TEXT, .name = "word", .label = N_("The subject is"),
     .help = N_("What the subject is, such as: teddy bear; for poses in words; empty: its name"), .offset = AT(word), .text = ""},
    {.kind = ARG_TEXT, .name = "model", .label = N_("Model"),
     .help = N_("The text model that learns; empty: the only one there is; not with patch"), .offset = AT(model), .text = ""},
};

static const Arg POSE_ARGS[] = {
    SUBJECT_ARG(N_("Its name in the library")),
    {.kind = ARG_TEXT, .name = "pins", .label = N_("Pins"),
     .help = N_("Points in image pixels, separated by spaces: FROM_X,FROM_Y[:TO_X,TO_Y][@ANGLE][^DEPTH]"),
     .offset = AT(pins), .text = ""},
    {.kind = ARG_REAL, .name = "move-x", .label = N_("Move X"), .help = N_("Moves the whole subject to the right, in pixels"),
     .offset = AT(move_x), .least = -1e6, .most = 1e6},
    {.kind = ARG_REAL, .name = "move-y", .label = N_("Move Y"), .help = N_("Moves the whole subject down, in pixels"),
     .offset = AT(move_y), .least = -1e6, .most = 1e6},
    {.kind = ARG_REAL, .name = "scale", .label = N_("Scale"), .help = N_("Scales the whole subject about its centre"),
     .offset = AT(scale), .least = 0.05, .most = 20, .standard = 1},
    {.kind = ARG_REAL, .name = "rotate", .label = N_("Rotate"),
     .help = N_("Turns the whole subject about its centre, in degrees clockwise"), .offset = AT(rotate), .least = -360,
     .most = 360},
    {.kind = ARG_LAYER, .name = "guide", .label = N_("Guide layer"),
     .help = N_("A layer with a rough edit of the subject in its new pose, or none (-1)"), .offset = AT(guide),
     .standard = NONE},
    {.kind = ARG_TEXT, .name = "engine", .label = N_("Engine"), .help = N_("What computes; this version has: patch"),
     .offset = AT(engine), .text = "patch"},
    {.kind = ARG_TEXT, .name = "prompt", .label = N_("Prompt"),
     .help = N_("A pose in words: a text model draws it. Empty: the patch engine poses by pins."), .offset = AT(prompt),
     .text = ""},
    CANDIDATES_ARG,
    SEED_ARG,
    GROW_ARG,
    {.kind = ARG_INT, .name = "version", .label = N_("Version"), .help = N_("Of the subject; 0: the newest"),
     .offset = AT(version), .least = 0, .most = G_MAXINT},
    {.kind = ARG_TEXT, .name = "model", .label = N_("Model"),
     .help = N_("The text model that draws a prompt; empty: the only one there is"), .offset = AT(model), .text = ""},
    {.kind = ARG_TEXT, .name = "negative", .label = N_("Without"), .help = N_("What must not be seen; with a prompt only"),
     .offset = AT(negative), .text = ""},
    {.kind = ARG_TEXT, .name = "source", .label = N_("The picture now"),
     .help = N_("What the picture shows now; with a prompt only; empty: the subject's caption"), .offset = AT(source),
     .text = ""},
    {.kind = ARG_TEXT, .name = "sampler", .label = N_("Sampler"),
     .help = N_("ddim, dpm++2m, dpm++2m-karras, euler-a, unipc or lcm; with a prompt only; empty: automatic"),
     .offset = AT(sampler), .text = ""},
    {.kind = ARG_REAL, .name = "strength", .label = N_("Strength"),
     .help = N_("How far the picture may change, up to 1; with a prompt only; 0: automatic"), .offset = AT(strength),
     .least = 0, .most = 1},
    {.kind = ARG_REAL, .name = "guidance", .label = N_("Guidance"),
     .help = N_("How closely the prompt is followed, from 1; with a prompt only; 0: automatic"), .offset = AT(guidance),
     .least = 0, .most = 50},
    {.kind = ARG_INT, .name = "steps", .label = N_("Steps"),
     .help = N_("More take longer and are more exact; with a prompt only; 0: automatic"), .offset = AT(steps), .least = 0,
     .most = 1000},
};

static const Arg ERASE_ARGS[] = {CANDIDATES_ARG, SEED_ARG, GROW_ARG};

const Procedure PROCEDURES[WORKS] = {
    {"plug-in-repose-learn", N_("Learn Subject from Selection…"),
     N_("Learn what is selected, so that it can be re-posed"),
     N_("Puts what is selected in the active layer into the library of subjects, with who allows it and for what. The image "
        "stays as it is."),
     LEARN_ARGS, G_N_ELEMENTS(LEARN_ARGS), FALSE},
    {"plug-in-repose-pose", N_("Re-pose Subject…"), N_("Give a learned subject a new pose"),
     N_("Bends the selected subject by pins, a guide layer or a placement, and restores the background it uncovers. The "
        "result comes as new layers with masks above the active layer; outside the masks nothing changes. Without a "
        "selection the subject is taken from the library. With a prompt, a text model draws the subject anew."),
     POSE_ARGS, G_N_ELEMENTS(POSE_ARGS), TRUE},
    {"plug-in-repose-erase", N_("Erase Subject…"), N_("Remove what is selected and restore the background"),
     N_("Fills the selection from its surroundings. The result comes as a new layer with a mask above the active layer; "
        "outside the mask nothing changes."),
     ERASE_ARGS, G_N_ELEMENTS(ERASE_ARGS), TRUE},
};

Work procedure_find(const char *name) {
    for (int work = 0; work < WORKS; work++)
        if (strcmp(PROCEDURES[work].name, name) == 0) return (Work)work;
    return WORKS;
}

void settings_text(char **at, const char *text) {
    char *copy = g_strdup(text ? text : "");
    g_free(*at);
    *at = copy;
}

void settings_init(Settings *settings) {
    memset(settings, 0, sizeof *settings);
    for (int work = 0; work < WORKS; work++) {
        for (guint i = 0; i < PROCEDURES[work].arg_count; i++) {
            const Arg *arg = &PROCEDURES[work].args[i];
            gpointer at = ARG_AT(settings, arg);
            if (arg->kind == ARG_TEXT)
                settings_text(at, arg->text);
            else if (arg->kind == ARG_REAL)
                *(double *)at = arg->standard;
            else
                *(int *)at = (int)arg->standard;
        }
    }
}

void settings_clear(Settings *settings) {
    char **texts[] = {&settings->subject, &settings->consent, &settings->expires, &settings->recipe, &settings->caption,
                      &settings->word,    &settings->pins,    &settings->engine,  &settings->prompt, &settings->model,
                      &settings->negative, &settings->source, &settings->sampler};
    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) g_clear_pointer(texts[i], g_free);
}

gboolean settings_check(const Procedure *procedure, const Settings *settings, GError **error) {
    for (guint i = 0; i < procedure->arg_count; i++) {
        const Arg *arg = &procedure->args[i];
        gconstpointer at = ARG_AT(settings, arg);
        double value = 0;
        if (arg->kind == ARG_TEXT) {
            const char *text = *(char *const *)at;
            if (!g_utf8_validate(text, -1, NULL)) {
                g_set_error(error, SHIM_ERROR, REPOSE_CALLER, _("\"%s\" is not UTF-8 text."), arg->name);
                return FALSE;
            }
            gboolean known = arg->offset == AT(engine);
            if (!known || !*text || strcmp(text, arg->text) == 0) continue;
            g_set_error(error, SHIM_ERROR, REPOSE_CALLER, _("\"%s\" cannot be \"%.60s\": this version has \"%s\"."),
                        arg->name, text, arg->text);
            return FALSE;
        }
        if (arg->kind == ARG_FLAG || arg->kind == ARG_LAYER) continue;
        value = arg->kind == ARG_REAL ? *(const double *)at : *(const int *)at;
        if (!isfinite(value) || value < arg->least || value > arg->most) {
            g_set_error(error, SHIM_ERROR, REPOSE_CALLER, _("\"%s\" is %g; %g to %g was expected."), arg->name, value,
                        arg->least, arg->most);
            return FALSE;
        }
    }
    return TRUE;
}
