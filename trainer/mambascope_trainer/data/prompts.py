"""What the teacher is asked: chat openings, plain text, and requests for children's stories."""

from __future__ import annotations

from random import Random

#: The system turn of SmolLM2's own chat template.
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"

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
_TURNS = (
    "The story has a happy ending.,Something goes wrong and is put right.,Someone learns to share.,Someone tells the truth.,"
    "There is a small surprise.,A friend helps in the end.,The story teaches a lesson.,Two friends talk.,"
    "It starts to rain.,Something lost is found.,Someone says sorry.,The story is funny."
).split(",")

#: Requests and answers that show the teacher the length and the plainness wanted; two of them precede each request.
_EXAMPLES = (
    (
        "a girl named Ella and a red ball",
        'Ella had a red ball. She loved to play with it in the park. One day, the ball rolled into the pond. "Oh no!" said Ella. '
        "She could not reach it, and she was sad. A big dog saw the ball. He jumped into the water and swam to it. The dog "
        'brought the ball back to Ella. "Thank you!" said Ella. She gave the dog a hug. Now Ella and the dog play with the ball '
        "every day.",
    ),
    (
        "a little bird and a nest",
        "Once there was a little bird named Pip. Pip wanted to build a nest, but the wind was too strong. Every time he put down a "
        'stick, the wind took it away. Pip started to cry. An old squirrel heard him. "Why do you cry?" she asked. "I cannot build '
        'my nest," said Pip. The squirrel smiled. "Build it in my tree. The leaves will stop the wind." Pip and the squirrel worked '
        "together all day. In the evening, the nest was done. Pip was warm and happy, and he had a new friend.",
    ),
    (
        "a boy named Jack and a cookie",
        'Jack saw a big cookie on the table. His mom said, "Please wait until after dinner." But Jack was hungry. He took the '
        'cookie and ate it. Then he felt bad. When his mom came back, she asked, "Where is the cookie?" Jack looked at the floor. '
        '"I ate it," he said. "I am sorry." His mom was not angry. "Thank you for telling the truth," she said. The next day, '
        "they baked new cookies together, and Jack waited until after dinner.",
    ),
    (
        "a slow turtle and a race",
        'One sunny day, a turtle named Toby wanted to join the race. The other animals laughed. "You are too slow!" they said. '
        'Toby was sad, but he did not give up. When the race began, the rabbit ran very fast. Then he fell into a hole. "Help!" '
        "he cried. Everyone ran past him. Only Toby stopped. He helped the rabbit climb out. Toby came last in the race, but all "
        'the animals clapped for him. The rabbit said, "You are the best friend I know."',
    ),
    (
        "two sisters and a snowman",
        "It snowed all night. In the morning, Nora and Kate ran outside to make a snowman. Nora wanted to use her blue hat. Kate "
        "wanted to use her red hat. They started to fight, and the snowman fell down. Both girls were sad. Then Kate had an idea. "
        '"Let us make two snowmen," she said. "One for you and one for me." So they worked together and made two snowmen. One had '
        "a blue hat and one had a red hat. The sisters laughed and went inside for hot soup.",
    ),
    (
        "a kitten and a dark night",
        'A small kitten named Momo was afraid of the dark. Every night she hid under the bed. "What is wrong?" asked her mother. '
        '"The dark is scary," said Momo. Her mother took her to the window. "Look up," she said. Momo saw the moon and many '
        'bright stars. "The stars only come out when it is dark," said her mother. Momo looked at the stars for a long time. '
        "She was not afraid anymore. She closed her eyes and slept all night.",
    ),
)


def _ask(subject: str) -> str:
    return f"<|im_start|>user\nWrite a very short story for a young child about {subject}.<|im_end|>\n<|im_start|>assistant\n"


def story_request(random: Random) -> str:
    """One chat that asks for a short story with words drawn at random (after the idea of TinyStories, arXiv 2305.07759).

    Half of the requests follow an example, which gives plain, short stories; the other half leave the teacher its own style.
    """
    hero, thing = random.choice(_HEROES), random.choice(_THINGS)
    if random.random() < 0.5:
        subject, story = random.choice(_EXAMPLES)
        shown = _ask(subject) + story + "<|im_end|>\n"
        return SYSTEM + shown + _ask(f"{hero} and a {thing}. {random.choice(_TURNS)[:-1]}")
    ask = f"Tell me a short children's story about {hero} who finds a {thing}. {random.choice(_TURNS)}"
    return SYSTEM + f"<|im_start|>user\n{ask}<|im_end|>\n<|im_start|>assistant\n"
