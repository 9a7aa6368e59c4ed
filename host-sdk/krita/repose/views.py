"""Small pictures of layers for the docker, in the screen's 8 bits. Krita itself converts what is in other formats."""

from krita import Krita

from .qt import QImage, QPainter, QRect, Qt

# The longest side of a picture in the docker, in pixels.
SIDE = 640
# A larger part of a picture than this is taken from Krita's thumbnail of the layer, which costs less.
_MOST = 6_000_000


def image_of(pixels, width, height, formats):
    """Pixels in a layer's own format (colour model, depth, profile) as a QImage."""
    model, depth, profile = formats
    if (model, depth) == ("RGBA", "U8"):
        return QImage(pixels, width, height, width * 4, QImage.Format.Format_ARGB32).copy()
    document = Krita.instance().createDocument(width, height, "view", model, depth, profile, 72.0)
    try:
        layer = document.createNode("view", "paintlayer")
        layer.setPixelData(pixels, 0, 0, width, height)
        for white in document.topLevelNodes():
            white.setVisible(False)
        document.rootNode().addChildNode(layer, None)
        document.waitForDone()
        document.refreshProjection()
        return document.projection(0, 0, width, height)
    finally:
        document.close()


def fitted(image, side=SIDE):
    """Scaled down to at most `side` pixels a side."""
    if max(image.width(), image.height()) <= side:
        return image
    return image.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)


def layer_image(document, node, region):
    """A part of a layer as it is, without what lies above it."""
    if region.width() * region.height() <= _MOST:
        pixels = node.pixelData(region.x(), region.y(), region.width(), region.height()).data()
        formats = node.colorModel(), node.colorDepth(), node.colorProfile()
        return fitted(image_of(pixels, region.width(), region.height(), formats))
    share = SIDE / max(region.width(), region.height())
    whole = document.thumbnail(max(1, round(document.width() * share)), max(1, round(document.height() * share)))
    along, down = whole.width() / document.width(), whole.height() / document.height()
    return whole.copy(round(region.x() * along), round(region.y() * down), max(1, round(region.width() * along)),
                      max(1, round(region.height() * down)))


def unselected(selection, region):
    """The part of the picture that is not selected, as a grey image with 255 where nothing is selected."""
    samples = selection.pixelData(region.x(), region.y(), region.width(), region.height()).data()
    image = QImage(samples, region.width(), region.height(), region.width(), QImage.Format.Format_Grayscale8).copy()
    image.invertPixels()
    return fitted(image)


def candidates(document, node, layers, formats, side):
    """Each candidate over the layer that it was made from: a list of small images."""
    around = QRect()
    for layer in layers:
        around = around.united(QRect(layer.x, layer.y, layer.width, layer.height))
    edge = max(8, max(around.width(), around.height()) // 10)
    around = around.adjusted(-edge, -edge, edge, edge).intersected(QRect(0, 0, document.width(), document.height()))
    below = layer_image(document, node, around)
    share = below.width() / around.width()
    shown = {}
    for layer in layers:
        image = shown.setdefault(layer.candidate, below.convertToFormat(QImage.Format.Format_ARGB32))
        place = QRect(round((layer.x - around.x()) * share), round((layer.y - around.y()) * share),
                      max(1, round(layer.width * share)), max(1, round(layer.height * share)))
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, _masked(layer, formats))
        painter.end()
    return [fitted(image, side) for _, image in sorted(shown.items())]


def _masked(layer, formats):
    from .results import eight_bits
    image = image_of(layer.pixels, layer.width, layer.height, formats)
    mask = QImage(eight_bits(layer.mask, layer.mask_depth), layer.width, layer.height, layer.width,
                  QImage.Format.Format_Grayscale8)
    image = image.convertToFormat(QImage.Format.Format_ARGB32)
    image.setAlphaChannel(mask)
    return image
