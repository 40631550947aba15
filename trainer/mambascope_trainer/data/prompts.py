"""What the teacher is asked: chat openings, plain text, and requests for children's stories."""

from __future__ import annotations

from random import Random

#: The system turn of SmolLM2's own chat template.
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
CHAT = SYSTEM + "<|im_start|>user\n"
TEXT = "<|endoftext|>"

_HEROES = (
    "a little girl named Lily,a boy named Tom,a small brown bear,a brave mouse,a shy rabbit,a young fox,an old turtle,"
    "a tiny dragon,a curious kitten,a playful puppy,a sleepy owl,two best friends,a kind farmer,a clever duck,a lost penguin,"
    "a baby elephant,a boy named Max and his dog,a girl named Mia and her grandmother,twins named Ben and Anna,a lonely snowman,"
    "a red bird,a friendly frog,a little robot,a baker named Rosa,a fisherman and his son,a proud lion,a small blue train,"
    "a hungry caterpillar,a girl named Zoe,a boy named Sam"
).split(",")
_THINGS = (
    "apple,boat,kite,cake,ball,tree,river,hat,box,key,lamp,stone,shell,flower,drum,blanket,ladder,basket,bridge,cloud,star,"
    "puddle,bell,book,spoon,wagon,button,feather,rope,whistle,garden,pumpkin,mirror,balloon,seed,map,candle,bucket,pillow,coin,"
    "scarf,bicycle,honey,swing,paint,snow,rainbow,jar,nest,acorn,sandwich,tent,umbrella,toy car,picture,letter,cookie,ring,door,pond"
).split(",")
_VERBS = (
    "share,find,lose,build,climb,help,hide,run,sing,dance,jump,fix,plant,paint,swim,whisper,laugh,cry,learn,bake,carry,throw,"
    "catch,open,close,push,pull,wait,listen,dream,clean,break,promise,give,borrow,draw,count,fly,dig,wash"
).split(",")
_MOODS = (
    "happy,sad,brave,shy,kind,angry,lonely,proud,curious,sleepy,hungry,scared,silly,gentle,clever,lazy,careful,noisy,quiet,"
    "tiny,huge,shiny,dark,cold,warm,soft,old,new,sweet,dirty"
).split(",")
_TURNS = (
    "The story has a happy ending.,Something goes wrong and is put right.,Someone learns to share.,Someone tells the truth.,"
    "There is a small surprise.,A friend helps in the end.,The story teaches a lesson.,Two characters talk with each other.,"
    "The weather changes.,Something lost is found.,Someone says sorry.,The story is funny."
).split(",")


def story_request(random: Random) -> str:
    """One chat that asks for a short story with words drawn at random, after the idea of TinyStories (arXiv 2305.07759)."""
    hero, thing, verb, mood = (random.choice(words) for words in (_HEROES, _THINGS, _VERBS, _MOODS))
    ask = (
        f"Write a very short story for a young child about {hero}. Use simple words and short sentences. "
        f'Use the words "{thing}", "{verb}" and "{mood}". {random.choice(_TURNS)} Write only the story.'
    )
    return SYSTEM + f"<|im_start|>user\n{ask}<|im_end|>\n<|im_start|>assistant\n"
