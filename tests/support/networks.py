"""Networks as people build them, small enough to test."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """The residual block of ResNet-18 (He et al., 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        return self.relu(out)


class ResNet18(nn.Module):
    """ResNet-18 with `width` channels in its first block (64 in the paper)."""

    def __init__(self, width: int = 64, classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        sizes = [width * 2**i for i in range(4)]
        for i, size in enumerate(sizes):
            before = sizes[max(i - 1, 0)]
            blocks = [BasicBlock(before, size, 1 if i == 0 else 2), BasicBlock(size, size, 1)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(sizes[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Inception(nn.Module):
    """An inception block (Szegedy et al., 2014) and a classifier."""

    def __init__(self, inputs: int = 3, width: int = 4, classes: int = 3):
        super().__init__()
        self.one = nn.Conv2d(inputs, width, 1)
        self.three = nn.Sequential(
            nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.five = nn.Sequential(
            nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, width, 5, padding=2)
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, width, 1))
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)
        return self.fc(F.relu(joined).mean((2, 3)))


class VisionTransformer(nn.Module):
    """Patches, a class token and positions, transformer layers, a head."""

    def __init__(self, width: int = 8, depth: int = 2, classes: int = 3):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 5, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.position
        return self.head(self.norm(self.encoder(x))[:, 0])


class Recurrent(nn.Module):
    """Tokens, a recurrent layer, a head on the last state."""

    def __init__(self, kind: type[nn.RNNBase] = nn.GRU, classes: int = 3, **options):
        super().__init__()
        self.table = nn.Embedding(9, 4)
        self.cell = kind(4, 5, batch_first=True, **options)
        ways = 2 if options.get("bidirectional") else 1
        self.head = nn.Linear(5 * ways, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cell(self.table(x))[0][:, -1])


class UNet(nn.Module):
    """Two levels down and up with skips, a value per class and pixel summed up at the end."""

    def __init__(self, width: int = 4, classes: int = 3):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.down2 = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU())
        self.bottom = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU())
        self.up2 = nn.ConvTranspose2d(2 * width, 2 * width, 2, 2)
        self.mix2 = nn.Sequential(nn.Conv2d(4 * width, width, 3, padding=1), nn.GroupNorm(2, width))
        self.up1 = nn.ConvTranspose2d(width, width, 3, 2, padding=1, output_padding=1)
        self.mix1 = nn.Conv2d(2 * width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(F.max_pool2d(first, 2))
        bottom = self.bottom(F.avg_pool2d(second, 2))
        x = self.mix2(torch.cat([self.up2(bottom), second], 1)).relu()
        return self.mix1(torch.cat([self.up1(x), first], 1)).square().mean((2, 3))


class Tied(nn.Module):
    """Three linear layers with one weight, two of which have offsets of their own."""

    def __init__(self, width: int = 6, classes: int = 3):
        super().__init__()
        self.start = nn.Linear(192, width)
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=i > 0) for i in range(3))
        self.layers[1].weight = self.layers[2].weight = self.layers[0].weight
        self.head = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.start(x.flatten(1))
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def perceptron() -> nn.Module:
    """A plain network of three linear layers."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(192, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)
    )
