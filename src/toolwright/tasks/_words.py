"""The words every template may use: names with their pronouns, places, days, and small numbers spelled out."""

from __future__ import annotations

# fmt: off
_FEMALE = (
    "Ada", "Aisha", "Alba", "Amara", "Amy", "Ana", "Anja", "Bea", "Bella", "Carla", "Chloe", "Clara", "Dana", "Daria", "Elena", "Elif", "Emma",
    "Erin", "Esther", "Eva", "Fatima", "Fiona", "Freya", "Gina", "Grace", "Hana", "Hanna", "Helen", "Ines", "Irene", "Iris", "Isla", "Ivy", "Jane",
    "Jasmine", "Jill", "Joan", "Julia", "Kate", "Keiko", "Kira", "Lana", "Laura", "Leah", "Lena", "Lily", "Lina", "Lucy", "Maria", "Marta", "Maya",
    "Mei", "Mia", "Mina", "Mira", "Nadia", "Naomi", "Nina", "Nora", "Olga", "Olivia", "Paula", "Petra", "Priya", "Rachel", "Rita", "Rosa", "Ruth",
    "Sara", "Selma", "Sofia", "Sonia", "Stella", "Tara", "Tina", "Uma", "Vera", "Wendy", "Yara", "Yuki", "Zoe",
)
_MALE = (
    "Adam", "Ahmed", "Alan", "Alex", "Ali", "Amir", "Andre", "Anton", "Arjun", "Ben", "Bilal", "Boris", "Bruno", "Carl", "Cesar", "Dan", "David",
    "Dev", "Diego", "Dylan", "Eli", "Emil", "Eric", "Ethan", "Felix", "Finn", "Frank", "Gabriel", "George", "Hamza", "Hans", "Henry", "Hugo", "Ian",
    "Igor", "Ivan", "Jack", "Jacob", "James", "Jamal", "Jin", "Joe", "John", "Jonas", "Juan", "Karl", "Ken", "Kofi", "Leo", "Liam", "Louis", "Luca",
    "Lukas", "Marco", "Mark", "Martin", "Matt", "Max", "Mike", "Milo", "Nabil", "Nick", "Noah", "Oleg", "Omar", "Oscar", "Otto", "Pablo", "Paul",
    "Pedro", "Peter", "Raj", "Ravi", "Rob", "Roman", "Ryan", "Sam", "Samir", "Simon", "Stefan", "Theo", "Tim", "Tom", "Tony", "Umar", "Victor",
    "Will", "Yusuf", "Zack",
)
# fmt: on
NAMES: tuple[tuple[str, str], ...] = (*((name, "f") for name in _FEMALE), *((name, "m") for name in _MALE))

PRONOUNS = {
    "f": {"he": "she", "him": "her", "his": "her", "himself": "herself"},
    "m": {"he": "he", "him": "him", "his": "his", "himself": "himself"},
}

LISTS: dict[str, tuple[str, ...]] = {
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "month": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
    "place": (
        *("Lima", "Oslo", "Porto", "Cairo", "Delhi", "Quito", "Turin", "Perth", "Kyoto"),
        *("Leeds", "Bergen", "Accra", "Varna", "Tampa", "Ghent", "Malmo", "Hanoi", "Tulsa"),
    ),
    "color": ("red", "blue", "green", "yellow", "white", "black", "purple", "orange", "brown", "pink"),
}

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# fmt: off
_PLAIN_THINGS = """
apple pear plum lemon lime melon orange banana grape coconut apricot fig nut almond walnut peanut olive carrot onion turnip beet pumpkin cucumber pepper
mushroom egg cookie cracker muffin bagel pretzel donut cupcake pie cake waffle pancake biscuit brownie sandwich burger pizza taco burrito noodle sausage
meatball candy-bar lollipop gumdrop marshmallow chocolate pencil pen crayon marker eraser ruler notebook folder binder book comic novel magazine postcard
letter stamp sticker card ticket token coin medal badge button bead ring bracelet necklace earring ribbon bow hat cap scarf glove sock shoe boot sandal
shirt sweater jacket coat dress skirt belt tie towel blanket pillow sheet curtain rug cup mug plate bowl fork spoon pan pot kettle jar bottle can basket
bucket bag sack crate tray lamp candle lantern bulb mirror clock vase chair stool table desk bench sofa bed drawer door window key lock nail screw bolt
hammer saw drill wrench rope chain wheel tire bike scooter skateboard car truck bus van train boat canoe kayak plane rocket robot doll puppet marble kite
balloon ball bat racket puck puzzle block brick tile stone pebble rock shell pinecone acorn leaf-bag flower rose tulip daisy seed bulb-pot tree shrub bush
vine cactus duck hen chicken turkey pigeon parrot owl robin crow eagle penguin frog toad turtle lizard snake snail worm beetle ant bee spider moth cricket
cat kitten dog rabbit hamster horse cow pig goat lamb donkey camel lion tiger bear monkey elephant zebra whale dolphin shark crab lobster clam poster
painting drawing photo map flag banner bookmark calendar album game toy drum guitar flute whistle bell trumpet violin piano song video file tablet laptop
phone camera battery charger cable magnet coupon envelope parcel box carton barrel tank hose pump ladder shovel rake broom mop sponge brush comb razor
bandage pill mask helmet whisk timer napkin straw toothpick skewer popsicle milkshake smoothie salad passenger student teacher player dancer singer visitor
guest worker runner swimmer helper neighbor camper tourist customer friend cousin soldier sailor page chapter poem story joke riddle point goal star planet
tower bridge castle tent igloo cabin house garage shed barn fence gate pole post sign statue
"""
_IRREGULAR_THINGS = (
    "peach/peaches", "cherry/cherries", "berry/berries", "strawberry/strawberries", "potato/potatoes", "tomato/tomatoes", "radish/radishes", "mango/mangoes",
    "box of chalk/boxes of chalk", "toothbrush/toothbrushes", "dish/dishes", "glass/glasses", "knife/knives", "fox/foxes", "wolf/wolves", "mouse/mice",
    "sheep/sheep", "goose/geese", "fish/fish", "goldfish/goldfish", "butterfly/butterflies", "puppy/puppies", "pony/ponies", "bunny/bunnies",
    "fly/flies", "leaf/leaves", "loaf/loaves",
    "pastry/pastries", "candy/candies", "watch/watches", "brush/brushes", "bus pass/bus passes", "child/children", "man/men", "woman/women", "person/people",
    "piece of candy/pieces of candy", "slice of pizza/slices of pizza", "bar of soap/bars of soap", "pair of socks/pairs of socks", "can of soda/cans of soda",
    "bottle of water/bottles of water", "bag of chips/bags of chips", "carton of milk/cartons of milk", "roll of tape/rolls of tape",
    "sheet of paper/sheets of paper", "pack of gum/packs of gum", "stick of butter/sticks of butter", "toy car/toy cars", "baseball card/baseball cards",
    "stuffed animal/stuffed animals", "paper clip/paper clips", "tennis ball/tennis balls", "ice cream cone/ice cream cones", "library book/library books",
    "picture frame/picture frames", "paint brush/paint brushes", "water balloon/water balloons", "party hat/party hats", "fruit cup/fruit cups",
    "chocolate chip/chocolate chips", "tea bag/tea bags", "light bulb/light bulbs", "gift card/gift cards", "movie ticket/movie tickets", "hot dog/hot dogs",
)
# fmt: on
THINGS: tuple[str, ...] = (
    *(f"{noun}/{noun}s" for noun in (word.replace("-", " ") for word in _PLAIN_THINGS.split()) if noun[-1] not in "sxzh" or noun[-2:] == "th"),
    *_IRREGULAR_THINGS,
)
"""Countable things of everyday life, singular and plural."""
