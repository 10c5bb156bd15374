#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains a classifier on the digits set that ships inside scikit-learn.

    train.py MODEL.pkl HELD-OUT.json

Writes the model, and 200 images that it has not seen: [{"pixels": [64 numbers], "digit": N}, ...].
"""

import json
import pickle
import sys

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

HELD_OUT = 200


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    digits = load_digits()
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        digits.data, digits.target, test_size=HELD_OUT, random_state=1, stratify=digits.target)
    model = SVC(gamma=0.001, C=10.0).fit(seen, seen_labels)
    with open(sys.argv[1], "wb") as file:
        pickle.dump(model, file)
    images = [{"pixels": list(p), "digit": int(d)} for p, d in zip(unseen, unseen_labels)]
    with open(sys.argv[2], "w", encoding="ascii") as file:
        json.dump(images, file)
    print("trained on %d images; %d are kept back" % (len(seen), len(images)))


if __name__ == "__main__":
    main()
