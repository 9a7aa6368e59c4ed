//! What the world consists of, in the words of its captions.

/// Makes an enum whose items have a word each.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$item_doc])* $item,)+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$item,)+];

            /// As captions have it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$item => $word,)+ }
            }
        }
    };
}

words! {
    /// What a subject is.
    Kind {
        /// Of boxes, on two legs.
        Robot = "robot",
        /// A plush bear on two legs.
        Bear = "bear",
        /// With long ears, on two legs.
        Rabbit = "rabbit",
        /// With pointed ears and a tail, on two legs.
        Cat = "cat",
        /// Like a person, with hair.
        Doll = "doll",
        /// With a beak, a white belly and flippers.
        Penguin = "penguin",
        /// With a long tail and a crest, on two legs.
        Dinosaur = "dinosaur",
        /// With a large head and feelers.
        Alien = "alien",
        /// On four legs, with hanging ears.
        Dog = "dog",
        /// On four long legs, with a mane.
        Horse = "horse",
        /// With a trunk and large ears.
        Elephant = "elephant",
        /// Round, with a snout.
        Pig = "pig",
        /// With a long neck.
        Giraffe = "giraffe",
        /// With a shell.
        Turtle = "turtle",
    }
}

impl Kind {
    /// Whether it walks on four legs.
    pub fn is_quadruped(self) -> bool {
        matches!(
            self,
            Self::Dog | Self::Horse | Self::Elephant | Self::Pig | Self::Giraffe | Self::Turtle
        )
    }
}

words! {
    /// Colours of bodies, patterns and accessories.
    Colour {
        /// Signal red.
        Red = "red",
        /// Orange.
        Orange = "orange",
        /// Yellow.
        Yellow = "yellow",
        /// Green.
        Green = "green",
        /// Blue.
        Blue = "blue",
        /// Purple.
        Purple = "purple",
        /// Pink.
        Pink = "pink",
        /// Brown.
        Brown = "brown",
        /// White.
        White = "white",
        /// Black.
        Black = "black",
        /// Grey.
        Grey = "grey",
    }
}

impl Colour {
    /// Linear light, 0 to 1.
    pub fn linear(self) -> [f32; 3] {
        match self {
            Self::Red => [0.62, 0.03, 0.03],
            Self::Orange => [0.85, 0.25, 0.02],
            Self::Yellow => [0.86, 0.62, 0.04],
            Self::Green => [0.06, 0.40, 0.08],
            Self::Blue => [0.03, 0.14, 0.60],
            Self::Purple => [0.22, 0.05, 0.45],
            Self::Pink => [0.85, 0.28, 0.45],
            Self::Brown => [0.20, 0.09, 0.03],
            Self::White => [0.85, 0.85, 0.83],
            Self::Black => [0.02, 0.02, 0.02],
            Self::Grey => [0.27, 0.27, 0.28],
        }
    }
}

words! {
    /// What is on a body's surface.
    Pattern {
        /// One colour.
        Plain = "plain",
        /// Bands around limbs and body.
        Striped = "striped",
        /// Round spots.
        Spotted = "spotted",
        /// Squares.
        Checked = "checked",
    }
}

words! {
    /// What a subject wears.
    Accessory {
        /// On the head, with a brim.
        Hat = "hat",
        /// Around the neck, with an end that hangs down.
        Scarf = "scarf",
        /// On the back.
        Backpack = "backpack",
        /// Before the eyes.
        Glasses = "glasses",
    }
}

words! {
    /// What is painted on a chest or a flank.
    Mark {
        /// Five points.
        Star = "star",
        /// A heart.
        Heart = "heart",
        /// A ring.
        Ring = "ring",
        /// A cross.
        Cross = "cross",
        /// The letter.
        A = "letter A",
        /// The letter.
        H = "letter H",
        /// The letter.
        K = "letter K",
        /// The letter.
        T = "letter T",
    }
}

words! {
    /// What a subject does.
    Action {
        /// Upright and at rest.
        Stand = "standing",
        /// One foot before the other.
        Walk = "walking",
        /// In great strides.
        Run = "running",
        /// Both feet off the ground.
        Jump = "jumping",
        /// On its bottom.
        Sit = "sitting",
        /// Flat on the ground.
        Lie = "lying down",
        /// Two legs only.
        WaveLeft = "waving its left arm",
        /// Two legs only.
        WaveRight = "waving its right arm",
        /// Two legs only.
        ArmsUp = "raising both arms",
        /// Two legs only.
        ArmsOut = "spreading its arms",
        /// Two legs only.
        Bow = "bowing",
        /// Two legs only.
        Kick = "kicking",
        /// Four legs only.
        Rear = "rearing up",
        /// Four legs only.
        Paw = "lifting a front leg",
        /// Four legs only.
        Graze = "lowering its head",
        /// Four legs only.
        LookUp = "looking up",
    }
}

impl Action {
    /// Whether such a subject can do it.
    pub fn suits(self, kind: Kind) -> bool {
        match self {
            Self::Stand | Self::Walk | Self::Run | Self::Jump | Self::Sit | Self::Lie => true,
            Self::Rear | Self::Paw | Self::Graze | Self::LookUp => kind.is_quadruped(),
            _ => !kind.is_quadruped(),
        }
    }
}

words! {
    /// Where the camera is.
    View {
        /// It looks at the camera.
        Front = "from the front",
        /// It looks to the left edge of the picture.
        Left = "from the side, facing left",
        /// It looks to the right edge of the picture.
        Right = "from the side, facing right",
        /// Between front and side.
        Angle = "at an angle",
        /// It looks away.
        Back = "from behind",
    }
}

words! {
    /// Where a subject is.
    Place {
        /// Sand, sea and sky.
        Beach = "on a beach",
        /// Trunks and leaves.
        Forest = "in a forest",
        /// Grass and hills.
        Meadow = "in a meadow",
        /// Dunes and a sun.
        Desert = "in a desert",
        /// Snow and firs.
        Snow = "in the snow",
        /// Houses with windows.
        City = "in a city",
        /// A wall with a picture, and boards.
        Room = "in a room",
        /// One smooth colour.
        Studio = "in a studio",
        /// Rays and bubbles.
        Water = "under water",
        /// Stars and craters.
        Moon = "on the moon",
    }
}
