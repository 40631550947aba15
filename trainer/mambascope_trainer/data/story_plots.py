"""The plots of `story_grammar`: `[a|b]` chooses, `$name` is a slot; `$f…` are the second character's."""

_START = (
    "[Once upon a time, there was $who.|There once was $who.|Once there was $who.|There was $who.] "
    "[$Name lived $home.|$He lived $home.|$Name lived $home with $his family.] "
)

LOST = (
    _START
    + """[$Name loved $his $toy very much.|$His favorite thing was a $colour $toy.|$Name had a $toy and took it everywhere.]
$Day, $Name went to $place to play. [$He ran and jumped and laughed.|$He played all morning.|The sun was warm and $he felt happy.] But when it was time to go home, [the $toy was gone|$he could not find the $toy]. "Oh no! [Where is my $toy?|I lost my $toy!]" $Name [cried|said]. [$He looked under the bushes.|$He looked behind every tree.|$He looked in the tall grass.] [It was not there.|There was no $toy.] $Name [felt very sad|began to cry|sat down and felt sad].
Just then, $fwho came by. "[What is wrong?|Why are you sad?]" asked $fName. "[I lost my $toy|I cannot find my $toy]," said $Name. "[Do not worry|Do not cry]," said $fName. "[I will help you look|We can look together]." [They looked near the water.|They walked all around $place.|They followed $Name's steps back.] [At last|After a while|Then], $fName saw something $colour [under a leaf|behind a rock|next to a log]. It was the $toy! "[You found it!|There it is!]" [shouted|said] $Name. "[Thank you, $fName!|Thank you so much!]"
[$Name hugged $fName.|$Name was so happy that $he danced.] [From that day on, they were best friends.|Then they played with the $toy together until the sun went down.|$Name and $fName shared the $toy and became good friends.]"""
)

SHARING = (
    _START
    + """[$Name had a big basket of $fruit.|$Name picked a whole bag of $fruit.|$His $helper gave $him some $fruit.] "[These are all mine|I will eat them all]," said $Name.
$Day, $fwho came to $place. $fName was [hungry|very hungry]. "[May I have some $fruit?|Can you share your $fruit with me?]" asked $fName. "No," said $Name. "[They are mine.|I want to keep them.]" $fName [walked away with a sad face|felt sad and went away].
$Name sat down to eat the $fruit alone. But [it was not fun|the $fruit did not taste good] [to eat alone|without a friend]. $Name thought about $fName. "[I was not kind|I should share]," $he said. So $Name [ran after|went to find] $fName. "[I am sorry|Please forgive me]," said $Name. "[Let us eat the $fruit together.|Would you like some $fruit?]" $fName [smiled|was surprised and happy]. "[Thank you|That is very kind]," $fhe said.
They sat [under a tree|on the grass|in the sun] and ate. [The $fruit tasted sweet now.|Now the $fruit tasted better than ever.] $Name learned that [sharing makes everyone happy|good things are better when you share them]."""
)

FEAR = (
    _START
    + """$Name was [happy and kind|a good friend], but there was one problem. $He was afraid of [the dark|the water|loud thunder|high places].
$Day, $his friend $fName asked, "[Will you come with me to $place?|Do you want to play at $place?]" $Name shook $his head. "[I am too scared|I am afraid]," $he said. $fName did not laugh. "[It is okay to be scared|Everyone is afraid of something]," said $fName. "[Hold my hand|I will stay next to you]. We will go [slowly|one step at a time]."
$Name took a [deep|big] breath. $He took one small step. [Nothing bad happened.|It was not so bad.] $He took another step, and then another. [$His heart beat fast, but $he did not stop.|$He was still scared, but $he kept going.] Soon they were there. "[I did it!|Look at me!]" [shouted|said] $Name. "[You were very brave|I knew you could do it]," said $fName.
That night, $Name told $his $helper about the day. "[Being brave means that you try even when you are scared|I am proud of you]," said $his $helper. $Name [smiled and went to sleep|fell asleep with a smile]. [The next day, $he was not afraid anymore.|After that, $he was a little braver every day.]"""
)

TRUTH = (
    _START
    + """$Day, $Name was playing inside. $His $helper had said, "[Please do not run in the house|Be careful near the table]." But $Name forgot. $He [ran very fast|jumped up and down|threw a ball], and [crash|bang]! The $colour [vase|cup|bowl|lamp] fell and broke.
$Name was [scared|worried]. "[What should I do?|My $helper will be angry]," $he thought. $He hid the pieces [under the bed|behind the door|in a box]. Then $his $helper came in and asked, "[What was that sound?|Do you know what happened here?]" $Name looked at the floor. [$His tummy felt bad.|$He felt a tear in $his eye.] $He did not want to tell a lie. "[I broke it|It was me]," said $Name. "[I was running. I am sorry.|I did not listen. I am very sorry.]"
$His $helper [sat down next to $him|gave $him a hug]. "[Thank you for telling the truth|I am glad that you told me the truth]," said $his $helper. "[Things can be fixed|We all make mistakes]." Together they [cleaned the floor|picked up the pieces and used some glue]. $Name felt [much better|light and happy again]. [From then on, $he walked in the house.|$He learned that the truth is always best.]"""
)

RESCUE = (
    _START
    + """$Day, $Name was walking near $place. Suddenly, $he heard a small voice. "[Help! Help me, please!|Please help me!]" $Name looked around and saw $fwho. $fName was stuck [in a deep hole|between two rocks|in the mud|in a thorny bush].
"[Do not be afraid|Stay calm]," said $Name. "[I will help you.|I will get you out.]" $Name pulled and pulled, but $fName [did not move|was still stuck]. $Name [thought hard|looked around]. Then $he saw a long [stick|rope|branch]. "[I have an idea!|I know what to do!]" $he said. $Name held one end and $fName held the other. "One, two, three, pull!" [Pop!|Slowly, slowly, it worked.] $fName was free!
"[You saved me!|Thank you for helping me!]" said $fName. "[How can I thank you?|You are very kind.]" $Name smiled. "[You do not have to thank me|I am just happy that you are safe]," $he said. "[Friends help each other.|Would you like to be my friend?]" [$fName nodded and laughed.|"Yes!" said $fName.] They walked home together and ate [some |]$food. [It was the start of a great friendship.|They were friends from that day on.]"""
)

BUILDING = (
    _START
    + """$Day, $Name wanted to build [a tower|a little house|a bridge|a fort]. $He found [sticks|stones|blocks|boxes] and worked all morning. But the wind blew, and everything fell down. $Name tried again. It fell down again. "[This is too hard|I give up]!" said $Name, and $he [kicked a stone|sat down with a frown].
$fName came to see what was wrong. $fHe was $fwho. "[May I help?|Can I help you?]" asked $fName. "[No, I want to do it alone|I can do it by myself]," said $Name. So $fName sat down and [watched|waited]. $Name tried one more time. [Crash!|Boom!] Down it came. $Name looked at $fName. "[Maybe two are better than one|Okay, please help me]," $he said.
$fName held the [bottom|sides], and $Name put [the pieces|everything] on top. [They worked slowly and carefully.|They talked and laughed while they worked.] [Before the sun went down|In the evening], it was done. It was [tall and strong|the best one ever]. "[We did it together|We make a good team]!" said $fName. $Name [smiled|agreed]. $He learned that [hard work is easier with a friend|it is good to ask for help]."""
)

SEED = (
    _START
    + """$Day, $his $helper gave $him a tiny $seed seed. "[Plant it and take care of it|Put it in the ground and give it water]," said $his $helper. "[Then wait.|You must be patient.]" $Name dug a small hole in the garden, put the seed inside, and gave it water.
The next morning, $Name ran outside to look. [There was nothing.|Nothing had grown.] $He waited one more day. Still nothing. "[My seed does not work|It will never grow]," said $Name. $He felt sad. $fName, $fdesc, lived next door. "[Good things take time|Do not give up]," said $fName. "[Let us water it together every day.|We can sing to it while we wait.]"
So every day, $Name and $fName [watered the ground|gave the seed some water] and [sang a song|told it a story]. One morning, $Name saw something small and green. "[It is growing!|Look, a little plant!]" $he shouted. The plant grew [taller and taller|bigger every day]. [In the summer|After many weeks], it was [beautiful|the best plant in the garden]. $Name was [so proud|very happy]. "[We waited, and it was worth it|Thank you for waiting with me]," said $Name to $fName."""
)

SICK = (
    _START
    + """$His best friend was $fwho. They played together every day. But [one day|one morning], $fName did not come to $place. $Name waited and waited. "[Where is $fName?|Why is $fName not here?]" $he asked. $He went to $fName's house and knocked on the door. $fName was in bed. "[I am sick|I do not feel well]," said $fName. "[I cannot play today.|My head hurts.]"
$Name wanted to help. $He went home and asked $his $helper, "[How can I make my friend feel better?|What can I do for $fName?]" "[We can make $food|Let us cook some $food]," said $his $helper. They [worked in the kitchen|cooked together], and it smelled [wonderful|so good]. $Name also picked a $colour flower.
$Name took everything to $fName. [$fName ate a little and smiled.|$fName sat up and ate it all.] Then $Name [told $fhim a funny story|read $fhim a book] until $fhe fell asleep. [In a few days|Two days later], $fName was well again. "[You are the best friend in the world|Thank you for taking care of me]," said $fName. [And they ran outside to play.|Then they went to $place, hand in hand.]"""
)

RAIN = (
    _START
    + """$Day, $Name and $his friend $fName wanted to have a picnic at $place. They packed [$food|some $fruit and $food] in a basket. [$Name carried the basket and $fName carried a blanket.|They sang a song on the way.] But when they sat down, dark clouds came. [Drip, drop!|Plip, plop!] It started to rain.
"[Oh no, our picnic!|Our day is spoiled!]" said $Name. They took the basket and ran. [Their feet were wet and cold.|The rain fell harder and harder.] They ran to $Name's house and closed the door. $Name looked out of the window and [felt sad|sighed]. Then $fName [had an idea|smiled]. "[We can have our picnic inside!|Who says that a picnic must be outside?]" $fhe said.
They put the blanket on the floor and [made a tent with two chairs|lit a small lamp]. They ate [$food|everything in the basket] and told each other [funny stories|stories about dragons]. [The rain sang on the roof.|Outside, the rain went on and on.] "[This is the best picnic ever|I like the rain now]," said $Name. When the rain stopped, there was a [big |bright |]rainbow in the sky, and they [watched it together|ran outside to jump in the puddles]."""
)

NEWCOMER = (
    _START
    + """$Day, someone new came to $place. It was $fwho. $fName did not know anyone. $fHe stood alone [by a tree|near the fence] and looked at $fhis feet. [The others played and did not see $fhim.|Nobody talked to $fhim.]
$Name saw $fName and thought, "[It is hard to be new|$fHe looks lonely]." So $Name walked over. "Hello! My name is $Name," $he said. "[What is your name?|Do you want to play?]" "[I am $fName|My name is $fName]," said $fName in a very quiet voice. "[Come and play with my $toy|I have a $toy. We can share it]," said $Name.
At first $fName was shy. But soon $fhe [began to laugh|forgot to be shy]. It turned out that $fName could [run very fast|tell funny jokes|whistle like a bird|draw beautiful pictures]. [Everyone wanted to see.|The others came to look.] By the end of the day, $fName had many friends. "[Thank you for saying hello|You were the first one who was kind to me]," said $fName. $Name smiled. [A small hello can be the start of something big.|"I am glad that you came," $he said.]"""
)

RACE = (
    _START
    + """$Day, there was a big race at $place. $Name wanted to win. $He [ran every morning|practiced all week]. $fName, $fdesc, was in the race too. "[Good luck|May the best one win]!" said $fName.
"Ready, set, go!" They all ran. $Name was [fast|very fast]. Soon $he was in front. But then $he heard a cry. $fName had [fallen down|hurt $fhis foot|slipped in the mud]. $Name looked at the finish line. It was so close. Then $he looked back at $fName. [What should $he do?|$He stopped.] $Name turned around and ran back. "[Are you okay?|Does it hurt?]" asked $Name. "[My leg hurts|I cannot run]," said $fName. "[Then we will walk together|Lean on me]," said $Name.
They came last, [step by step|arm in arm]. But everyone [clapped and cheered|stood up and clapped]. [$His $helper said, "I am so proud of you."|The judge gave $Name a $colour ribbon for being kind.] "[You could have won|You gave up the race for me]," said $fName. "[A friend is better than a prize|I did win]," said $Name. "[I have a good friend.|I won a friend.]" """
)

GIFT = (
    _START
    + """[Tomorrow was the birthday of $his $helper.|It was almost the birthday of $his friend $fName.] $Name wanted to give a [special|nice] present, but $he had no money. [$He looked in $his pockets. They were empty.|$He opened $his little box. It was empty.] "[What can I do?|I have nothing to give]," said $Name.
$He went for a walk near $place to think. There $he saw [shiny stones|$colour flowers|pretty shells|soft feathers] on the ground. "[I have an idea!|I can make something!]" said $Name. $He picked up the best ones and took them home. $He worked [all afternoon|until it was dark]. [$He used paper and string.|$He was very careful.] At last, the present was ready. It was a [crown|necklace|picture|card].
The next day, $Name held out the present with both hands. "[I made this for you|It is not much, but I made it myself]," $he said. There was a big smile. "[This is the best present I ever got|It is beautiful]! [You made it with love.|Thank you, $Name.]" $Name felt warm inside. [They ate $food and danced.|Then it was time for $food and songs.] $Name learned that [the best gifts come from the heart|a gift does not need to cost money]."""
)

GREEDY = (
    _START
    + """$Name loved $food more than anything. $Day, $his $helper made a lot of $food. "[You may have a little now|Please save some for $fName]," said $his $helper, and went outside.
$Name took one bite. [It was so good!|Yum!] $He took another bite, and another. [$He could not stop.|$He ate and ate.] Soon everything was gone. Then $his tummy began to hurt. "[Ouch, my tummy!|Oh, I do not feel good]," said $Name, and $he lay down on the floor.
There was a knock at the door. It was $fName, $fdesc. "[I came to eat with you|Is there some $food for me?]" said $fName. $Name felt [bad|ashamed]. "[I ate it all|There is nothing left]," $he said. "[I am sorry.|I should have saved some for you.]" $fName [was not angry|smiled]. "[Let us make some more together|Next time you will know]," $fhe said. When $Name felt better, they [cooked together|went to the kitchen]. This time $Name [gave $fName the first piece|took only a little]. [It tasted even better.|And this time, nothing hurt.]"""
)

WAY_HOME = (
    _START
    + """$Day, $Name went for a walk in the forest. $He [followed a $colour butterfly|looked for $fruit] and did not look at the path. When $he looked up, [all the trees looked the same|$he did not know where $he was]. "[I am lost!|Which way is home?]" said $Name. [It was getting dark.|The sun was going down.] $Name was [scared|cold and scared].
"[Who is there?|Why do you cry?]" asked a soft voice. It was $fwho. "[I cannot find my way home|I am lost]," said $Name. "[I live $home.|My family is waiting for me.]" $fName thought for a moment. "[I know the forest well|I know where that is]," $fhe said. "[Follow me.|Come with me.]"
They walked [along the river|past the old mill|under the bright moon]. $fName showed $Name [the north star|the marks on the trees|how to listen to the water]. "[Now you will never be lost again|Remember this for the next time]," said $fName. At last, $Name saw a light. It was $his home! $His $helper ran out and hugged $him. "[Where were you?|I was so worried!]" "[I was lost, but $fName helped me|My new friend showed me the way]," said $Name. They asked $fName to stay for $food. [And $Name always looked at the path after that.|That night, everyone was safe and warm.]"""
)

PLOTS = (LOST, SHARING, FEAR, TRUTH, RESCUE, BUILDING, SEED, SICK, RAIN, NEWCOMER, RACE, GIFT, GREEDY, WAY_HOME)
