/* Repose: learn a subject from a selection, re-pose it, and leave every other pixel alone.
 *
 * This header is the whole contract between Repose and a host (an image editor, a script, a test).
 * C11; also compiles as C++17. Rust hosts may use the `repose-host` crate, which wraps the same table.
 *
 * THE IDEA
 *
 *   A host opens the library, looks up its one symbol, repose_api(), and gets a table of functions. It opens an
 *   engine, which has one background thread. It hands over pixels, a selection and what it wants; the engine
 *   copies them and returns a job at once. The host asks the job how far it is, from a timer of its own, until it
 *   is done; then it puts the job's layers above the user's layer, each with its mask. Nothing calls back.
 *   The host's own picture is never written to.
 *
 *   Where a layer's mask is 0, the layer's pixels are the picture's own bytes; where several layers come back, they
 *   belong above the picture in the order given. So nothing outside the masks can change.
 *
 * SCENARIOS
 *
 *   I.   Open.     void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);          // keep it open until the process ends
 *                  ReposeApiFn get = (ReposeApiFn)dlsym(lib, "repose_api");
 *                  const ReposeApi *api = get(REPOSE_VERSION);               // NULL: this plugin is too old
 *                  api->engine_open(NULL, &engine, &error);
 *   II.  Learn.    Fill a ReposeLearnRequest; api->job_learn(engine, &request, &job, &error);
 *                  poll job_status() until the state is DONE; job_free(). The subject is now in the user's library.
 *   III. Re-pose.  Fill a ReposePoseRequest with pins; api->job_repose(…); poll; then for index 0 … layer_count - 1
 *                  call job_layer() and make a layer with its name, offset, pixels and mask; job_free().
 *   IV.  Preview.  Whenever status.preview_serial has grown, job_preview() gives a small picture to show.
 *   V.   Cancel.   job_cancel(), from any thread. The state becomes CANCELLED within one step of the work.
 *   VI.  Too busy. A call that returns REPOSE_BUSY changed nothing: try again when a job has ended.
 *   VII. Failure.  The state is FAILED and status.code says who can act; job_bytes(job, REPOSE_BYTES_MESSAGE, …)
 *                  gives the sentence to show. A mistake inside the plugin is REPOSE_BUG: that job is lost, the
 *                  engine and the host go on.
 *   VIII. Again.   job_bytes(job, REPOSE_BYTES_REQUEST, …) gives a file's worth of bytes; job_replay() with these
 *                  bytes makes the same pixels again, on another day or in a bug report.
 *   IX.  Close.    engine_close(). Jobs that have not ended end as cancelled; their handles stay good until freed.
 *
 * RULES
 *
 *   - Calls are noun_verb(handle, inputs…, outputs…) and return a ReposeStatus. Outputs are written only on success;
 *     an `error` output is the exception: it is written only on failure (and may be NULL).
 *   - Every struct that can grow begins with struct_size: set it to sizeof the struct. The rest may be zeroed; 0 is
 *     a good default for every field that is not a pixel format. `reserved` fields must be 0.
 *   - What is passed in is copied during the call; the host may free it as soon as the call returns.
 *   - Every text is UTF-8 and ends with a NUL byte.
 *   - Every call returns in under a millisecond apart from copying pixels, but for two: engine_close() waits for the
 *     step at work, and library_command() for the disk.
 *   - Free everything exactly once; every _free and _close accepts NULL and returns nothing.
 *   - [any-thread]  may be called from any thread, also while other threads make any other [any-thread] call.
 *   - [last-call]   any thread too, but no other call with the same handle may be running or follow.
 */
#ifndef REPOSE_H
#define REPOSE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the contract that this header describes. Fields marked [2] came with version 2. */
#define REPOSE_VERSION 2u

/* ---- Numbers. They never change their meaning; new ones are added at the end. ------------------------------- */

/* What a call returns, sorted by who can act. */
typedef int32_t ReposeStatus;
enum {
    REPOSE_OK = 0,
    REPOSE_CALLER = 1,    /* The request cannot be used as it is; the message says what was expected. */
    REPOSE_FILES = 2,     /* A file or the subject library cannot be read or written; the message names it. */
    REPOSE_REFUSED = 3,   /* Consent is missing, expired or revoked, or this engine does not do this by design. */
    REPOSE_DEVICE = 4,    /* Not enough memory, or another limit of this machine. */
    REPOSE_CANCELLED = 5, /* The host cancelled the job. */
    REPOSE_BUG = 6,       /* A mistake in the plugin. */
    REPOSE_BUSY = 7       /* The queue is full; nothing was changed. */
};

/* Where a job is. It only ever moves down this list. */
typedef uint32_t ReposeState;
enum {
    REPOSE_STATE_QUEUED = 1,
    REPOSE_STATE_RUNNING = 2,
    REPOSE_STATE_DONE = 3,
    REPOSE_STATE_FAILED = 4,
    REPOSE_STATE_CANCELLED = 5
};

/* Type of one sample, native byte order. Selections and layer masks: U8, U16 or F32. */
typedef uint32_t ReposeDepth;
enum {
    REPOSE_DEPTH_U8 = 1,  /* 0 … 255 */
    REPOSE_DEPTH_U16 = 2, /* 0 … 65535 */
    REPOSE_DEPTH_F16 = 3, /* IEEE half, 0.0 … 1.0 and beyond */
    REPOSE_DEPTH_F32 = 4  /* IEEE single, 0.0 … 1.0 and beyond */
};

/* Samples of one pixel in memory order. Alpha is straight (not premultiplied). */
typedef uint32_t ReposeChannels;
enum {
    REPOSE_CHANNELS_GREY = 1,
    REPOSE_CHANNELS_GREY_ALPHA = 2,
    REPOSE_CHANNELS_RGB = 3,
    REPOSE_CHANNELS_RGBA = 4,
    REPOSE_CHANNELS_BGRA = 5 /* Krita's order for U8 and U16 */
};

/* What the samples mean. */
typedef uint32_t ReposeSpace;
enum {
    REPOSE_SPACE_SRGB = 1,        /* sRGB with its own curve; grey: the same curve */
    REPOSE_SPACE_LINEAR_SRGB = 2, /* sRGB primaries, linear light */
    REPOSE_SPACE_ICC = 3          /* the profile in `icc`, of the picture's own kind (RGB or grey) */
};

/* Whether a selection's edge is refined to follow hair and fur. */
typedef uint32_t ReposeRefine;
enum {
    REPOSE_REFINE_AUTO = 0,   /* hard-edged selections are refined, soft ones kept as they are */
    REPOSE_REFINE_ALWAYS = 1,
    REPOSE_REFINE_NEVER = 2
};

/* How exactly text models compute on the CPU. */
typedef uint32_t ReposePrecision;
enum {
    REPOSE_PRECISION_F32 = 0,
    REPOSE_PRECISION_BF16 = 1 /* products are rounded to bfloat16 where the CPU is faster at it (AMX, AVX512-BF16) */
};

/* What a layer shows. */
typedef uint32_t ReposeRole;
enum {
    REPOSE_ROLE_BACKGROUND = 1, /* the restored background: below the subject */
    REPOSE_ROLE_SUBJECT = 2     /* the subject in its new pose */
};

/* What job_bytes() can give. */
typedef uint32_t ReposeBytesKind;
enum {
    REPOSE_BYTES_MESSAGE = 1, /* a sentence for the user about why the job failed; empty if it did not */
    REPOSE_BYTES_HISTORY = 2, /* JSON: what was done, with which subject, seed and request; once DONE */
    REPOSE_BYTES_XMP = 3,     /* an XMP packet to put into exported pictures; once DONE */
    REPOSE_BYTES_REQUEST = 4  /* the whole request, for job_replay(); at any time */
};

/* ---- Objects ------------------------------------------------------------------------------------------------ */

typedef struct ReposeEngine ReposeEngine; /* one background thread with its queue */
typedef struct ReposeJob ReposeJob;       /* one piece of work and its result */

/* Text or bytes that belong to the host: give them back with bytes_free(). Never write to them. */
typedef struct ReposeBytes {
    const char *data; /* `size` bytes, then one NUL byte that is not counted */
    size_t size;
} ReposeBytes;

/* ---- What goes in ------------------------------------------------------------------------------------------- */

typedef struct ReposeEngineOptions {
    uint32_t struct_size;
    uint32_t threads;    /* threads that compute; 0: one per core */
    uint32_t queue;      /* jobs that may wait, at most 1024; 0: 16 */
    ReposePrecision precision;
    const char *library; /* folder of the subject library; NULL: the user's own */
    const char *models;  /* [2] folder of text models, with their settings; NULL: the user's own */
} ReposeEngineOptions;

/* A picture: at least 1 × 1, at most 2^29 pixels. */
typedef struct ReposePicture {
    uint32_t struct_size;
    uint32_t width;
    uint32_t height;
    ReposeDepth depth;
    ReposeChannels channels;
    ReposeSpace space;
    const void *pixels; /* top left pixel; needs no alignment */
    size_t pixels_size; /* bytes that may be read from there */
    size_t stride;      /* bytes from one row to the next; at least a row's own bytes */
    const void *icc;    /* with REPOSE_SPACE_ICC only */
    size_t icc_size;
} ReposePicture;

/* A selection: soft values are honoured. It may cover a part of the picture, or reach beyond it; pixels of the picture
 * that it does not cover are not selected. */
typedef struct ReposeSelection {
    uint32_t struct_size;
    ReposeDepth depth;   /* U8, U16 or F32 */
    int32_t x;           /* where its top left sample lies in the picture */
    int32_t y;
    uint32_t width;
    uint32_t height;
    const void *samples;
    size_t samples_size; /* bytes that may be read from there */
    size_t stride;       /* bytes from one row to the next */
} ReposeSelection;

/* A point of a pose, in picture pixels; 0, 0 is the outer corner of the top left pixel. It may lie beyond the picture by
 * four times its longer side (counted as at least 256 pixels). This struct never grows. */
typedef struct ReposePin {
    float from_x; /* where the point of the subject is now */
    float from_y;
    float to_x;   /* where it goes; the same place keeps it where it is */
    float to_y;
    float angle;  /* rotation at this point in degrees, clockwise on screen; NAN leaves it free */
    float depth;  /* where parts overlap, the larger depth is in front */
} ReposePin;

/* [2] How a text model learns a subject. 0, NULL: the recipe's own. */
typedef struct ReposeTraining {
    uint32_t struct_size;
    uint32_t steps;      /* in all, 1 to 100000 */
    const char *recipe;  /* "repose", "textual-inversion", "dreambooth-lora", "custom-diffusion", "single-insert", "detex",
                            "lipe", "dream-tuner" or "reference", which trains nothing; "-no-" and the name of a part leave
                            that out, see README */
    const char *model;   /* name, path, or Hugging Face id such as "org/name"; NULL: the only one there is */
    uint32_t rank;       /* of changes of projections, 1 to 256 */
    uint32_t earlier;    /* how many earlier versions of the subject, newest first, it is learned from as well, to 32 */
    uint64_t seed;       /* the same request and seed learn the same */
} ReposeTraining;

typedef struct ReposeLearnRequest {
    uint32_t struct_size;
    ReposeRefine refine;
    const ReposePicture *picture;
    const ReposeSelection *selection; /* may be rough */
    const char *name;                 /* in the library: 1 to 80 characters, none of / \ or control characters */
    const char *consent;              /* who allows it, and for what, in the user's words; not blank */
    const char *expires;              /* last day of use, YYYY-MM-DD (UTC); NULL: no end */
    uint32_t person;                  /* 1: a real person's likeness … */
    uint32_t person_agrees;           /* … who has said yes; such a learn is refused without it */
    const char *caption;              /* [2] what the picture shows, for text models; NULL: nothing is said */
    const char *word;                 /* [2] what the subject is, such as "teddy bear"; NULL: its name */
    const ReposeTraining *training;   /* [2] a text model learns the subject as well; NULL: none does */
} ReposeLearnRequest;

/* [2] How a text model re-poses. 0, NULL: a good default. */
typedef struct ReposeText {
    uint32_t struct_size;
    uint32_t steps;       /* of the sampler, 1 to 1000 */
    const char *model;    /* name, path, or Hugging Face id such as "org/name"; NULL: the only one there is */
    const char *negative; /* what must not be seen */
    const char *source;   /* what the picture shows now; NULL: the subject's caption */
    const char *word;     /* the words of the prompt that mean the subject; NULL: the subject's own, or its name */
    const char *sampler;  /* "ddim", "dpm++2m", "dpm++2m-karras", "euler-a", "unipc" or "lcm" */
    float strength;       /* how far the picture may change, above 0, up to 1 */
    float guidance;       /* how closely the prompt is followed (classifier-free guidance), 1 to 50 */
    float rescale;        /* guidance rescale, 0 to 1 (arXiv 2305.08891) */
    float identity;       /* weight of the subject's own look (arXiv 2312.13691, omega), to 20; below 0: none */
    uint32_t clip_skip;   /* last layers of the text encoder to leave out, at most 11 */
    uint32_t side;        /* longer side of the part that is diffused, in pixels, 64 to 4096; 0: the model's own */
    /* These two take less time, and lose a little; by default neither is used. */
    float guided;         /* share of the steps, from the start, that are guided, to 1 (as arXiv 2404.07724); the others
                             look at the prompt alone. 0: all; below 0: none */
    uint32_t reuse;       /* of so many steps, 1 to 10, one computes all of the network; the others reuse its deep
                             features (arXiv 2312.00858). 0: 1 */
    const char *variant;  /* parts of the papers' methods left out or put in, names joined by commas: "no-blend" (arXiv
                             2406.17236, NIMA), "mask" (arXiv 2312.13691, 3.2), "interleaved" (the same, 3.3),
                             "no-delay" (arXiv 2305.10431) */
} ReposeText;

typedef struct ReposePoseRequest {
    uint32_t struct_size;
    uint32_t candidates;              /* results to choose from, 1 to 16; 0: 1 */
    const ReposePicture *picture;
    const ReposeSelection *selection; /* where the subject is now; NULL: nowhere, place it from the library */
    const char *subject;              /* its name in the library */
    const ReposePin *pins;            /* `pin_count` of them; NULL if 0 */
    uint32_t pin_count;               /* at most 1000 */
    uint32_t version;                 /* of the subject; 0: the newest */
    const ReposePicture *guide;       /* a rough edit, same size as the picture, with alpha; NULL: none */
    const char *prompt;               /* a pose in words: asks for a text model. NULL: none */
    float offset_x;                   /* moves the whole subject, in pixels */
    float offset_y;
    float scale;                      /* about its centre, 0.05 to 20; 0: 1 */
    float angle;                      /* about its centre, degrees clockwise on screen */
    uint64_t seed;                    /* the same request and seed give the same pixels */
    uint32_t grow;                    /* the selection is grown by this many pixels first, 0 to 256 */
    ReposeRefine refine;
    const ReposeText *text;           /* [2] a text model makes the pose, also without a prompt of its own: then the
                                         subject's caption is the prompt. NULL: as the prompt says */
} ReposePoseRequest;

typedef struct ReposeEraseRequest {
    uint32_t struct_size;
    uint32_t candidates; /* as above */
    const ReposePicture *picture;
    const ReposeSelection *selection;
    uint64_t seed;
    uint32_t grow;
    uint32_t reserved;
} ReposeEraseRequest;

/* ---- What comes out: set struct_size, leave the rest. ------------------------------------------------------- */

typedef struct ReposeJobStatus {
    uint32_t struct_size;
    ReposeState state;
    ReposeStatus code;       /* why it FAILED or was CANCELLED; REPOSE_OK otherwise */
    uint32_t layer_count;    /* for job_layer(), once DONE */
    uint32_t done;           /* steps */
    uint32_t total;          /* of this many; 0: not known yet */
    double eta_seconds;      /* to the end, at the pace so far; below 0: not known yet */
    uint64_t preview_serial; /* grows with every new preview; 0: none yet */
    char stage[32];          /* what is being done, in an English word or two */
} ReposeJobStatus;

/* A result. Everything it points to belongs to the job and stays until job_free(). */
typedef struct ReposeLayer {
    uint32_t struct_size;
    uint32_t candidate;      /* layers of one candidate go together, bottom first */
    ReposeRole role;
    uint32_t x;              /* its top left pixel in the picture; it never reaches beyond the picture */
    uint32_t y;
    uint32_t width;
    uint32_t height;
    ReposeDepth depth;       /* pixels are in exactly the picture's own format */
    ReposeChannels channels;
    ReposeSpace space;
    ReposeDepth mask_depth;  /* the selection's */
    uint32_t reserved;
    const char *name;        /* for the list of layers */
    const void *pixels;
    size_t stride;           /* bytes from one row to the next, of pixels and of the mask */
    const void *mask;        /* its coverage: one sample for each pixel */
    size_t mask_stride;
    const void *icc;         /* with REPOSE_SPACE_ICC only */
    size_t icc_size;
} ReposeLayer;

/* ---- The table. Functions are only ever added at its end. --------------------------------------------------- */

typedef struct ReposeApi {
    uint32_t version;           /* the newest version this plugin knows; at least the one asked for */
    uint32_t struct_size;       /* of this table */
    const char *plugin_version; /* of the plugin, such as "0.1.0"; lives as long as the process */

    /* Starts an engine. Options may be NULL. The host owns it until engine_close(). [any-thread] */
    ReposeStatus (*engine_open)(const ReposeEngineOptions *options, ReposeEngine **engine, ReposeBytes **error);

    /* Cancels all jobs of this engine, waits for the step at work, ends the thread. [last-call] */
    void (*engine_close)(ReposeEngine *engine);

    /* Queue one piece of work; they copy the request. The host owns the job until job_free(). [any-thread] */
    ReposeStatus (*job_learn)(ReposeEngine *engine, const ReposeLearnRequest *request, ReposeJob **job,
                              ReposeBytes **error);
    ReposeStatus (*job_repose)(ReposeEngine *engine, const ReposePoseRequest *request, ReposeJob **job,
                               ReposeBytes **error);
    ReposeStatus (*job_erase)(ReposeEngine *engine, const ReposeEraseRequest *request, ReposeJob **job,
                              ReposeBytes **error);

    /* Queues a saved request again. The host owns the job until job_free(). [any-thread] */
    ReposeStatus (*job_replay)(ReposeEngine *engine, const void *request, size_t size, ReposeJob **job,
                               ReposeBytes **error);

    /* Where the job is; meant to be polled, 10 to 30 times a second. [any-thread] */
    ReposeStatus (*job_status)(const ReposeJob *job, ReposeJobStatus *status);

    /* Asks the job to stop; it does so within one step. A job that has ended stays as it is. [any-thread] */
    ReposeStatus (*job_cancel)(ReposeJob *job);

    /* The newest preview, at most 512 pixels a side: width × height × 4 bytes, RGBA in sRGB, rows without gaps.
     * REPOSE_CALLER if there is none yet. The host owns the pixels until bytes_free(). [any-thread] */
    ReposeStatus (*job_preview)(const ReposeJob *job, uint32_t *width, uint32_t *height, ReposeBytes **pixels);

    /* One of the results, once DONE. The layer's memory belongs to the job, until job_free(). [any-thread] */
    ReposeStatus (*job_layer)(const ReposeJob *job, uint32_t index, ReposeLayer *layer);

    /* The picture the job works on, as it was copied. Its memory belongs to the job, until job_free(). [any-thread] */
    ReposeStatus (*job_picture)(const ReposeJob *job, ReposePicture *picture);

    /* A text or bytes of the job. REPOSE_CALLER if there are none yet. The host owns them until bytes_free().
     * REPOSE_BYTES_REQUEST copies the request's pixels. [any-thread] */
    ReposeStatus (*job_bytes)(const ReposeJob *job, ReposeBytesKind kind, ReposeBytes **bytes);

    /* Forgets the job, its layers and its texts; one that has not ended is cancelled. [last-call] */
    void (*job_free)(ReposeJob *job);

    /* Small work on the subject library, at once: {"command": "list"} and others (see README.md beside this folder);
     * the answer is JSON. It reads and writes files. The host owns the answer until bytes_free(). [any-thread] */
    ReposeStatus (*library_command)(ReposeEngine *engine, const char *json, ReposeBytes **answer, ReposeBytes **error);

    /* Gives back an error, an answer, a preview or a text. [last-call] */
    void (*bytes_free)(ReposeBytes *bytes);

    /* end of version 1 */
} ReposeApi;

/* The one exported symbol: the table, or NULL if this plugin does not know `version`.
 * The table belongs to the plugin and lives as long as the process. [any-thread] */
const ReposeApi *repose_api(uint32_t version);
typedef const ReposeApi *(*ReposeApiFn)(uint32_t version);

/* ---- Published offsets are frozen (64-bit machines; 32-bit ones have their own). ---------------------------- */

#ifdef __cplusplus
#define REPOSE_FROZEN(what) static_assert(what, #what)
#else
#define REPOSE_FROZEN(what) _Static_assert(what, #what)
#endif
#if UINTPTR_MAX == UINT64_MAX
REPOSE_FROZEN(sizeof(ReposeBytes) == 16);
REPOSE_FROZEN(sizeof(ReposeEngineOptions) == 32 && offsetof(ReposeEngineOptions, models) == 24);
REPOSE_FROZEN(sizeof(ReposePicture) == 64 && offsetof(ReposePicture, icc_size) == 56);
REPOSE_FROZEN(sizeof(ReposeSelection) == 48 && offsetof(ReposeSelection, stride) == 40);
REPOSE_FROZEN(sizeof(ReposePin) == 24 && offsetof(ReposePin, depth) == 20);
REPOSE_FROZEN(sizeof(ReposeTraining) == 40 && offsetof(ReposeTraining, seed) == 32);
REPOSE_FROZEN(sizeof(ReposeLearnRequest) == 80 && offsetof(ReposeLearnRequest, training) == 72);
REPOSE_FROZEN(sizeof(ReposeText) == 88 && offsetof(ReposeText, variant) == 80);
REPOSE_FROZEN(sizeof(ReposePoseRequest) == 104 && offsetof(ReposePoseRequest, text) == 96);
REPOSE_FROZEN(sizeof(ReposeEraseRequest) == 40 && offsetof(ReposeEraseRequest, reserved) == 36);
REPOSE_FROZEN(sizeof(ReposeJobStatus) == 72 && offsetof(ReposeJobStatus, stage) == 40);
REPOSE_FROZEN(sizeof(ReposeLayer) == 104 && offsetof(ReposeLayer, icc_size) == 96);
REPOSE_FROZEN(sizeof(ReposeApi) == 136 && offsetof(ReposeApi, bytes_free) == 128);
#endif
#undef REPOSE_FROZEN

#ifdef __cplusplus
}
#endif

#endif
