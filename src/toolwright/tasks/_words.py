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
