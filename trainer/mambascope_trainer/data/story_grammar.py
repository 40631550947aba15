"""Children's stories from a small grammar: plots with nested alternatives, and characters that keep their names and pronouns.

A 135M-parameter teacher writes fluent sentences but seldom a story that holds together. These stories do: a part of what the
`stories` model is trained on, they teach it to keep a character, an object and a problem from the first sentence to the last.
"""

from __future__ import annotations

import re
from random import Random

from .story_plots import PLOTS

GIRLS = "Lily,Mia,Anna,Zoe,Ella,Rosa,Emma,Nora,Lucy,Amy,Kate,Ruby,Sara,Molly,Tina,Ivy".split(",")
BOYS = "Tom,Ben,Max,Sam,Jack,Leo,Tim,Finn,Noah,Oscar,Will,Dan,Hugo,Luke,Joe,Eli".split(",")
ANIMALS = (
    "rabbit,fox,bear,mouse,duck,owl,frog,turtle,kitten,puppy,squirrel,hedgehog,penguin,pig,lamb,beaver,otter,deer,goose,raccoon"
).split(",")
ANIMAL_NAMES = (
    "Pip,Momo,Benny,Toby,Coco,Hazel,Dot,Bobo,Nutty,Fluff,Biscuit,Pepper,Clover,Ziggy,Maple,Poppy,Waddles,Bean".split(
        ","
    )
)
LOOKS = "little,small,young,shy,happy,curious,clever,kind,sleepy,brave,quiet,cheerful,gentle,playful".split(",")
COATS = "fluffy,brown,tiny,grey,round,old".split(",")
HOMES = (
    "in a small house by the river,near a big forest,in a cozy town,at the edge of a green meadow,on a farm,by the sea,"
    "next to a tall hill,under an old oak tree,in a village with a stone bridge,at the end of a quiet street"
).split(",")
PLACES = (
    "the park,the forest,the garden,the meadow,the beach,the pond,the hill,the river,the old barn,the playground".split(
        ","
    )
)
TOYS = "ball,kite,doll,toy car,drum,red hat,blue scarf,music box,teddy bear,wooden boat,silver bell,yellow balloon,picture book,train".split(
    ","
)
FOODS = "apple pie,carrot soup,honey cake,warm bread,pancakes,berry jam,cookies,pumpkin soup,cheese,sweet corn".split(
    ","
)
FRUITS = "apples,berries,pears,nuts,carrots,cherries,plums,strawberries".split(",")
SEEDS = "sunflower,pumpkin,bean,apple,tomato,rose,cherry,carrot".split(",")
COLOURS = "red,blue,green,yellow,purple,orange,white,pink".split(",")
DAYS = (
    "One day,One sunny morning,One afternoon,On a warm spring day,One cold winter morning,On a windy day,One Saturday,"
    "Early one morning,On the first day of summer,One autumn day"
).split(",")
HELPERS = "mother,father,grandmother,grandfather,big sister,big brother,aunt,teacher".split(",")

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\$(\w+)")


def write_story(random: Random) -> str:
    """One story of about 90 to 220 words. Every word comes from this grammar: nothing is copied."""
    slots = {**_hero(random, ""), **_hero(random, "f")}
    while slots["fName"] == slots["Name"]:
        slots.update(_hero(random, "f"))
    slots |= {
        "home": random.choice(HOMES), "place": random.choice(PLACES), "toy": random.choice(TOYS), "food": random.choice(FOODS),
        "fruit": random.choice(FRUITS), "seed": random.choice(SEEDS), "colour": random.choice(COLOURS), "Day": random.choice(DAYS),
        "helper": random.choice(HELPERS),
    }  # fmt: skip
    return expand(random.choice(PLOTS), slots, random)


def expand(template: str, slots: dict[str, str], random: Random) -> str:
    """Choose one of each `[a|b]`, innermost first, then fill `$slot`s. Raises KeyError for an unknown slot."""
    while _ALTERNATIVES.search(template):
        template = _ALTERNATIVES.sub(lambda match: random.choice(match[1].split("|")), template)
    text = _SLOT.sub(lambda match: slots[match[1]], template)
    text = re.sub(r"\ba (?=[aeiou])", "an ", re.sub(r"\bA (?=[aeiou])", "An ", text))
    lines = (" ".join(line.split()) for line in text.strip().splitlines())
    return "\n".join(line for line in lines if line)


def _hero(random: Random, prefix: str) -> dict[str, str]:
    """A character: its introduction ("a shy owl named Dot"), name and pronouns, as slots."""
    kind = random.choice(("girl", "boy", "animal", "animal"))
    if kind == "animal":
        noun, name, girl = random.choice(ANIMALS), random.choice(ANIMAL_NAMES), random.random() < 0.5
    else:
        noun, girl = kind, kind == "girl"
        name = random.choice(GIRLS if girl else BOYS)
    pronouns = ("she", "her", "her") if girl else ("he", "him", "his")
    description = f"a {random.choice(LOOKS + COATS if kind == 'animal' else LOOKS)} {noun}"
    values = dict(
        zip(("he", "him", "his"), pronouns, strict=True), Name=name, desc=description, who=f"{description} named {name}"
    )
    values |= {"He": pronouns[0].capitalize(), "His": pronouns[2].capitalize()}
    return {prefix + key: value for key, value in values.items()}
