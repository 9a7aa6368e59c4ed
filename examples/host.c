/* A whole host in one file: learns a subject from a selection, gives it a new pose, writes the flattened result.
 *
 *     cc -std=c11 -I host-sdk/include examples/host.c -o host -ldl -lm
 *     ./host target/release/librepose.so LIBRARY_FOLDER photo.ppm mask.pgm result.ppm 120,80:150,60 40,200
 *
 * A pin is FROM_X,FROM_Y:TO_X,TO_Y; one point alone stays where it is. Without pins the subject is erased. With --again before
 * the paths, the saved request is replayed, and must give the same pixels. Ctrl+C cancels the job at work.
 * The exit status is the plugin's status code. Pictures are binary PPM, masks binary PGM, 8 bits. */
#define _POSIX_C_SOURCE 200809L

#include <dlfcn.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "repose.h"

#define MAX_PINS 64

typedef struct Image {
    uint32_t width, height, channels;
    uint8_t *data;
} Image;

static const ReposeApi *api;
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
    (void)signal_number;
    interrupted = 1;
}

static void fail(ReposeStatus code, const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(code == REPOSE_OK ? REPOSE_BUG : code);
}

/* ---- Pictures ----------------------------------------------------------------------------------------------- */

/* The next number of a PNM header; comments run from # to the end of the line. */
static unsigned long header_number(FILE *file, const char *path) {
    int c = fgetc(file);
    while (c == '#' || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
        if (c == '#') {
            while (c != '\n' && c != EOF) c = fgetc(file);
        }
        c = fgetc(file);
    }
    unsigned long number = 0;
    int digits = 0;
    for (; c >= '0' && c <= '9' && digits < 9; digits++, c = fgetc(file)) number = number * 10 + (unsigned)(c - '0');
    if (digits == 0) fail(REPOSE_CALLER, path, "a number was expected in the header");
    return number; /* the one byte after it is consumed, as the format wants */
}

/* Reads a picture with `channels` samples a pixel: P6 for 3, P5 for 1. */
static Image image_read(const char *path, uint32_t channels) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(REPOSE_FILES, path, "cannot be opened");
    int magic = fgetc(file) == 'P' ? fgetc(file) : 0;
    if (magic != (channels == 3 ? '6' : '5')) fail(REPOSE_CALLER, path, channels == 3 ? "not a P6 file" : "not a P5 file");
    Image image;
    image.width = (uint32_t)header_number(file, path);
    image.height = (uint32_t)header_number(file, path);
    image.channels = channels;
    if (header_number(file, path) != 255) fail(REPOSE_CALLER, path, "8 bits a sample were expected");
    if (image.width < 1 || image.height < 1 || (uint64_t)image.width * image.height > (uint64_t)1 << 29)
        fail(REPOSE_CALLER, path, "the size cannot be used");
    size_t size = (size_t)image.width * image.height * channels;
    image.data = (uint8_t *)malloc(size);
    if (!image.data) fail(REPOSE_DEVICE, path, "not enough memory");
    if (fread(image.data, 1, size, file) != size) fail(REPOSE_CALLER, path, "the file ends too early");
    fclose(file);
    return image;
}

static void image_write(const char *path, const Image *image) {
    FILE *file = fopen(path, "wb");
    if (!file) fail(REPOSE_FILES, path, "cannot be created");
    size_t size = (size_t)image->width * image->height * image->channels;
    fprintf(file, "P6\n%u %u\n255\n", image->width, image->height);
    size_t written = fwrite(image->data, 1, size, file);
    if (fclose(file) != 0 || written != size) fail(REPOSE_FILES, path, "cannot be written");
}

/* ---- The plugin --------------------------------------------------------------------------------------------- */

static void load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* never closed */
    if (!library) fail(REPOSE_FILES, path, dlerror());
    void *symbol = dlsym(library, "repose_api");
    if (!symbol) fail(REPOSE_FILES, path, "not the Repose plugin");
    ReposeApiFn get;
    memcpy(&get, &symbol, sizeof get); /* C has no cast from an object to a function */
    api = get(REPOSE_VERSION);
    if (!api) fail(REPOSE_FILES, path, "this plugin is too old");
}

/* Ends the program if a call failed. Takes the address of the error's text, because C may evaluate a plain argument before
 * the call that writes it. */
static void check(ReposeStatus code, const char *what, ReposeBytes **error) {
    if (code == REPOSE_OK) return;
    fprintf(stderr, "%s: %s\n", what, error && *error ? (*error)->data : "no reason was given");
    if (error) api->bytes_free(*error);
    exit(code);
}

static ReposeBytes *job_text(const ReposeJob *job, ReposeBytesKind kind) {
    ReposeBytes *bytes = NULL;
    check(api->job_bytes(job, kind, &bytes), "job_bytes", NULL);
    return bytes;
}

/* Polls until the end, as a host's timer would. Gives the number of layers. */
static uint32_t job_wait(ReposeJob *job, const char *what) {
    uint64_t previews = 0;
    for (;;) {
        ReposeJobStatus status;
        memset(&status, 0, sizeof status);
        status.struct_size = sizeof status;
        check(api->job_status(job, &status), "job_status", NULL);
        if (status.preview_serial > previews) {
            uint32_t width = 0, height = 0;
            ReposeBytes *pixels = NULL;
            previews = status.preview_serial;
            check(api->job_preview(job, &width, &height, &pixels), "job_preview", NULL);
            if (pixels->size != (size_t)width * height * 4) fail(REPOSE_BUG, what, "a preview of another size");
            api->bytes_free(pixels); /* an editor would show it */
        }
        fprintf(stderr, "\r%s: %-24s %3u/%-3u", what, status.stage, status.done, status.total);
        if (status.eta_seconds >= 0) fprintf(stderr, " %5.1f s left", status.eta_seconds);
        if (status.state >= REPOSE_STATE_DONE) fputc('\n', stderr);
        if (status.state == REPOSE_STATE_DONE) return status.layer_count;
        if (status.state > REPOSE_STATE_DONE) {
            ReposeBytes *message = job_text(job, REPOSE_BYTES_MESSAGE);
            api->job_free(job);
            check(status.code, what, &message);
        }
        if (interrupted) check(api->job_cancel(job), "job_cancel", NULL);
        struct timespec pause = {0, 30 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
}

/* Puts one layer on top of the picture, as an editor with 8 bits does, and marks in `touched` where its mask is not 0. */
static void layer_flatten(const ReposeLayer *layer, Image *picture, uint8_t *touched) {
    for (uint32_t y = 0; y < layer->height; y++) {
        const uint8_t *from = (const uint8_t *)layer->pixels + y * layer->stride;
        const uint8_t *mask = (const uint8_t *)layer->mask + y * layer->mask_stride;
        size_t start = (size_t)(layer->y + y) * picture->width + layer->x;
        uint8_t *to = picture->data + start * picture->channels;
        for (uint32_t x = 0; x < layer->width; x++) {
            if (mask[x] == 0) continue;
            touched[start + x] = 1;
            for (uint32_t c = 0; c < picture->channels; c++) {
                size_t i = (size_t)x * picture->channels + c;
                to[i] = (uint8_t)((from[i] * mask[x] + to[i] * (255 - mask[x]) + 127) / 255);
            }
        }
    }
}

/* Flattens the first candidate over a copy of the picture, and verifies that nothing outside its masks has changed. */
static Image job_flatten(const ReposeJob *job, uint32_t layers, const Image *picture) {
    Image result = *picture;
    size_t pixels = (size_t)picture->width * picture->height, size = pixels * picture->channels;
    uint8_t *touched = (uint8_t *)calloc(pixels, 1);
    result.data = (uint8_t *)malloc(size);
    if (!touched || !result.data) fail(REPOSE_DEVICE, "result", "not enough memory");
    memcpy(result.data, picture->data, size);
    for (uint32_t i = 0; i < layers; i++) {
        ReposeLayer layer;
        memset(&layer, 0, sizeof layer);
        layer.struct_size = sizeof layer;
        check(api->job_layer(job, i, &layer), "job_layer", NULL);
        if (layer.depth != REPOSE_DEPTH_U8 || layer.channels != REPOSE_CHANNELS_RGB || layer.mask_depth != REPOSE_DEPTH_U8)
            fail(REPOSE_BUG, layer.name, "not in the picture's own format");
        if (layer.candidate != 0) continue;
        fprintf(stderr, "layer \"%s\": %u x %u at %u, %u\n", layer.name, layer.width, layer.height, layer.x, layer.y);
        layer_flatten(&layer, &result, touched);
    }
    size_t changed = 0;
    for (size_t i = 0; i < pixels; i++) {
        if (memcmp(result.data + i * 3, picture->data + i * 3, 3) == 0) continue;
        if (!touched[i]) fail(REPOSE_BUG, "result", "a pixel outside the masks has changed");
        changed++;
    }
    fprintf(stderr, "%zu pixels changed, none of them outside the masks\n", changed);
    free(touched);
    return result;
}

/* Runs the saved request of `job` again and compares. */
static void job_verify(ReposeEngine *engine, const ReposeJob *job, const Image *picture, const Image *result) {
    ReposeBytes *request = job_text(job, REPOSE_BYTES_REQUEST), *error = NULL;
    ReposeJob *again = NULL;
    check(api->job_replay(engine, request->data, request->size, &again, &error), "replay", &error);
    api->bytes_free(request);
    ReposePicture kept;
    memset(&kept, 0, sizeof kept);
    kept.struct_size = sizeof kept;
    check(api->job_picture(again, &kept), "job_picture", NULL);
    size_t size = (size_t)picture->width * picture->height * picture->channels;
    if (kept.pixels_size != size || memcmp(kept.pixels, picture->data, size) != 0)
        fail(REPOSE_BUG, "replay", "the saved picture is another one");
    Image second = job_flatten(again, job_wait(again, "again"), picture);
    if (memcmp(second.data, result->data, size) != 0) fail(REPOSE_BUG, "replay", "other pixels");
    free(second.data);
    api->job_free(again);
}

static ReposePin pin_parse(const char *text) {
    ReposePin pin = {0, 0, 0, 0, NAN, 0};
    int used = 0, more = 0;
    if (sscanf(text, "%f,%f%n", &pin.from_x, &pin.from_y, &used) == 2 && used > 0) {
        pin.to_x = pin.from_x;
        pin.to_y = pin.from_y;
        if (text[used] == '\0') return pin;
        if (sscanf(text + used, ":%f,%f%n", &pin.to_x, &pin.to_y, &more) == 2 && more > 0 && text[used + more] == '\0')
            return pin;
    }
    fail(REPOSE_CALLER, text, "a pin is FROM_X,FROM_Y:TO_X,TO_Y or X,Y");
    return pin;
}

int main(int argc, char **argv) {
    int again = argc > 1 && strcmp(argv[1], "--again") == 0;
    char **at = argv + 1 + again;
    if (argc - again < 6)
        fail(REPOSE_CALLER, "usage", "host [--again] PLUGIN LIBRARY PICTURE.ppm MASK.pgm RESULT.ppm [PIN ...]");
    load(at[0]);
    signal(SIGINT, on_interrupt);
    Image picture = image_read(at[2], 3), mask = image_read(at[3], 1);
    ReposePin pins[MAX_PINS];
    uint32_t pin_count = 0;
    for (char **text = at + 5; *text; text++) {
        if (pin_count == MAX_PINS) fail(REPOSE_CALLER, *text, "too many pins for this small host");
        pins[pin_count++] = pin_parse(*text);
    }

    ReposeEngineOptions options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.library = at[1];
    ReposeEngine *engine = NULL;
    ReposeBytes *error = NULL;
    check(api->engine_open(&options, &engine, &error), "engine_open", &error);

    ReposePicture pixels;
    memset(&pixels, 0, sizeof pixels);
    pixels.struct_size = sizeof pixels;
    pixels.width = picture.width;
    pixels.height = picture.height;
    pixels.depth = REPOSE_DEPTH_U8;
    pixels.channels = REPOSE_CHANNELS_RGB;
    pixels.space = REPOSE_SPACE_SRGB;
    pixels.pixels = picture.data;
    pixels.stride = (size_t)picture.width * 3;
    pixels.pixels_size = pixels.stride * picture.height;

    ReposeSelection selection;
    memset(&selection, 0, sizeof selection);
    selection.struct_size = sizeof selection;
    selection.depth = REPOSE_DEPTH_U8;
    selection.width = mask.width;
    selection.height = mask.height;
    selection.samples = mask.data;
    selection.stride = mask.width;
    selection.samples_size = (size_t)mask.width * mask.height;

    ReposeJob *job = NULL;
    if (pin_count > 0) {
        ReposeLearnRequest learn;
        memset(&learn, 0, sizeof learn);
        learn.struct_size = sizeof learn;
        learn.picture = &pixels;
        learn.selection = &selection;
        learn.name = "host.c";
        learn.consent = "the example's own subject, for trying the plugin";
        check(api->job_learn(engine, &learn, &job, &error), "learn", &error);
        job_wait(job, "learn");
        api->job_free(job);

        ReposeBytes *answer = NULL;
        check(api->library_command(engine, "{\"command\": \"list\"}", &answer, &error), "list", &error);
        fprintf(stderr, "the library has %zu bytes to say about its subjects\n", answer->size);
        api->bytes_free(answer);

        ReposePoseRequest pose;
        memset(&pose, 0, sizeof pose);
        pose.struct_size = sizeof pose;
        pose.picture = &pixels;
        pose.selection = &selection;
        pose.subject = "host.c";
        pose.pins = pins;
        pose.pin_count = pin_count;
        check(api->job_repose(engine, &pose, &job, &error), "re-pose", &error);
    } else {
        ReposeEraseRequest erase;
        memset(&erase, 0, sizeof erase);
        erase.struct_size = sizeof erase;
        erase.picture = &pixels;
        erase.selection = &selection;
        check(api->job_erase(engine, &erase, &job, &error), "erase", &error);
    }
    Image result = job_flatten(job, job_wait(job, pin_count > 0 ? "re-pose" : "erase"), &picture);
    ReposeBytes *history = job_text(job, REPOSE_BYTES_HISTORY);
    printf("%s\n", history->data);
    api->bytes_free(history);
    if (again) job_verify(engine, job, &picture, &result);
    api->job_free(job);
    api->engine_close(engine);
    image_write(at[4], &result);
    free(result.data);
    free(mask.data);
    free(picture.data);
    return 0;
}
