//! A reader of pickles that executes nothing: a stack, a memo, and a few containers.
//!
//! Python's own machine calls whatever function a pickle names. This one knows how to make dictionaries, lists, tuples,
//! texts, numbers and tensors; every other name or instruction ends the reading with an error that says what the file wanted.
//! Values are handles into one arena, so that a pickle that nests or repeats itself costs no more than its own length.

use std::collections::HashMap;

use candle_core::DType;

/// The most instructions; an embedding has a few hundred.
const MAX_STEPS: usize = 200_000;

/// The most entries of all containers together, those copied from one to another counted again.
const MAX_ENTRIES: usize = 1_000_000;

/// A value: small, or a handle into [`Machine`]'s arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// `None`, booleans, floats, and instances that hold nothing of interest.
    Nothing,
    /// A whole number.
    Int(i64),
    /// In the arena.
    Object(usize),
}

/// What is in the arena.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    /// A text.
    Text(String),
    /// A tuple or a list.
    Sequence(Vec<Value>),
    /// A dictionary, in the order of insertion.
    Dictionary(Vec<(Value, Value)>),
    /// A function or class, by its name.
    Global(Known),
    /// Numbers of a tensor, kept elsewhere under this key.
    Storage { key: String, dtype: DType },
    /// A view of a storage.
    Tensor(View),
}

/// A tensor as a view of a storage: all in numbers, not bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The storage.
    pub key: String,
    /// How its numbers are stored.
    pub dtype: DType,
    /// The first number.
    pub offset: usize,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
}

/// The names that a pickle may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// `collections.OrderedDict`, and torch's dictionary of parameters.
    Dictionary,
    /// `torch._utils._rebuild_tensor_v2`
    Tensor,
    /// `torch._utils._rebuild_parameter`
    Parameter,
    /// `torch.FloatStorage` and its like.
    Storage(DType),
}

fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("collections", "OrderedDict") | ("torch.nn.modules.container", "ParameterDict") => {
            Known::Dictionary
        }
        ("torch._utils", "_rebuild_tensor_v2") => Known::Tensor,
        ("torch._utils", "_rebuild_parameter") => Known::Parameter,
        ("torch", "FloatStorage") => Known::Storage(DType::F32),
        ("torch", "HalfStorage") => Known::Storage(DType::F16),
        ("torch", "BFloat16Storage") => Known::Storage(DType::BF16),
        ("torch", "DoubleStorage") => Known::Storage(DType::F64),
        ("torch", "LongStorage") => Known::Storage(DType::I64),
        _ => return None,
    })
}

/// Why a pickle was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It is cut off, or its instructions make no sense.
    Damaged(&'static str),
    /// It wants this, which is more than tensors.
    Unsafe(String),
}

type Step<T> = std::result::Result<T, Stop>;

/// The machine. Its arena lasts through several pickles of one file.
#[derive(Debug, Default)]
pub struct Machine {
    objects: Vec<Object>,
    stack: Vec<Value>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    steps: usize,
    entries: usize,
}

const CUT_OFF: Stop = Stop::Damaged("it is cut off");
const EMPTY: Stop = Stop::Damaged("its instructions make no sense");

struct Reader<'a, 'b>(&'b mut &'a [u8]);

impl<'a> Reader<'a, '_> {
    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(CUT_OFF)?;
        *self.0 = rest;
        Ok(head)
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.take(1)?[0])
    }

    /// A little-endian number of up to 8 bytes.
    fn number(&mut self, bytes: usize) -> Step<u64> {
        let taken = self.take(bytes)?;
        Ok(taken.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    fn length(&mut self, bytes: usize) -> Step<usize> {
        usize::try_from(self.number(bytes)?).map_err(|_| CUT_OFF)
    }

    fn text(&mut self, length: usize) -> Step<String> {
        String::from_utf8(self.take(length)?.to_vec())
            .map_err(|_| Stop::Damaged("a text in it is not UTF-8"))
    }

    fn line(&mut self) -> Step<String> {
        let length = self.0.iter().position(|b| *b == b'\n').ok_or(CUT_OFF)?;
        let line = self.text(length)?;
        self.byte()?;
        Ok(line)
    }
}

impl Machine {
    /// Runs one pickle from the beginning of `bytes`, which then begin behind it.
    pub fn run(&mut self, bytes: &mut &[u8]) -> Step<Value> {
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        let mut reader = Reader(bytes);
        loop {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Stop::Damaged("it has more instructions than any embedding"));
            }
            let code = reader.byte()?;
            if code == b'.' {
                return self.pop();
            }
            self.step(code, &mut reader)?;
        }
    }

    /// What a handle stands for.
    pub fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(at) => self.objects.get(at),
            _ => None,
        }
    }

    fn step(&mut self, code: u8, reader: &mut Reader) -> Step<()> {
        match code {
            // The protocol, and frames of newer ones: hints for buffering.
            0x80 => drop(reader.byte()?),
            0x95 => drop(reader.number(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Nothing),
            b'G' => {
                reader.take(8)?;
                self.stack.push(Value::Nothing);
            }
            b'K' => self.int(reader.number(1)? as i64),
            b'M' => self.int(reader.number(2)? as i64),
            b'J' => self.int(i64::from(reader.number(4)? as u32 as i32)),
            0x8a => {
                let length = reader.length(1)?;
                let bytes = reader.take(length)?;
                // Only torch's magic number is longer than eight bytes; its value is of no interest here.
                let mut wide = [if bytes.last().is_some_and(|b| *b > 127) {
                    255
                } else {
                    0
                }; 8];
                let kept = length.min(8);
                wide[..kept].copy_from_slice(&bytes[..kept]);
                self.int(i64::from_le_bytes(wide));
            }
            b'X' | b'T' => self.read_text(reader, 4)?,
            0x8c | b'U' => self.read_text(reader, 1)?,
            b'}' => self.push(Object::Dictionary(Vec::new())),
            b']' | b')' => self.push(Object::Sequence(Vec::new())),
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let at = self.stack.len().checked_sub(count).ok_or(EMPTY)?;
                let items = self.stack.split_off(at);
                self.push(Object::Sequence(items));
            }
            b't' | b'l' => {
                let items = self.since_mark()?;
                self.push(Object::Sequence(items));
            }
            b'd' => {
                let items = self.since_mark()?;
                self.push(Object::Dictionary(pairs(&items)?));
            }
            b'q' => self.remember(reader.number(1)? as u32)?,
            b'r' => self.remember(reader.number(4)? as u32)?,
            0x94 => self.remember(self.memo.len() as u32)?,
            b'h' => self.recall(reader.number(1)? as u32)?,
            b'j' => self.recall(reader.number(4)? as u32)?,
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.append(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[(key, value)])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.insert(&pairs(&items)?)?;
            }
            b'c' => {
                let (module, name) = (reader.line()?, reader.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(Object::Text(name)), Some(Object::Text(module))) =
                    (self.object(name), self.object(module))
                else {
                    return Err(EMPTY);
                };
                let (module, name) = (module.clone(), name.clone());
                self.global(&module, &name)?;
            }
            b'Q' => self.storage()?,
            b'R' | 0x81 => self.call()?,
            b'b' => self.build()?,
            other => return Err(Stop::Unsafe(format!("the instruction {other:#04x}"))),
        }
        Ok(())
    }

    fn pop(&mut self) -> Step<Value> {
        // What lies below a mark belongs to something that is not finished.
        if self
            .marks
            .last()
            .is_some_and(|mark| *mark >= self.stack.len())
        {
            return Err(EMPTY);
        }
        self.stack.pop().ok_or(EMPTY)
    }

    fn int(&mut self, value: i64) {
        self.stack.push(Value::Int(value));
    }

    /// Counts entries that are about to be copied: a pickle may name one container often.
    fn spend(&mut self, entries: usize) -> Step<()> {
        self.entries = self.entries.saturating_add(entries);
        if self.entries > MAX_ENTRIES {
            return Err(Stop::Damaged("it unfolds to more than any embedding"));
        }
        Ok(())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    fn read_text(&mut self, reader: &mut Reader, bytes: usize) -> Step<()> {
        let length = reader.length(bytes)?;
        let text = reader.text(length)?;
        self.push(Object::Text(text));
        Ok(())
    }

    fn since_mark(&mut self) -> Step<Vec<Value>> {
        let mark = self
            .marks
            .pop()
            .filter(|m| *m <= self.stack.len())
            .ok_or(EMPTY)?;
        Ok(self.stack.split_off(mark))
    }

    fn remember(&mut self, key: u32) -> Step<()> {
        let value = *self.stack.last().ok_or(EMPTY)?;
        self.memo.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Step<()> {
        self.stack.push(*self.memo.get(&key).ok_or(EMPTY)?);
        Ok(())
    }

    /// The object at the top of the stack, which stays there.
    fn top(&mut self) -> Step<&mut Object> {
        match self.stack.last() {
            Some(Value::Object(at)) => self.objects.get_mut(*at).ok_or(EMPTY),
            _ => Err(EMPTY),
        }
    }

    fn append(&mut self, items: &[Value]) -> Step<()> {
        match self.top()? {
            Object::Sequence(list) => list.extend_from_slice(items),
            _ => return Err(EMPTY),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[(Value, Value)]) -> Step<()> {
        match self.top()? {
            Object::Dictionary(dictionary) => dictionary.extend_from_slice(items),
            _ => return Err(EMPTY),
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Step<()> {
        let Some(known) = known(module, name) else {
            let shown: String = format!("{module}.{name}").chars().take(100).collect();
            return Err(Stop::Unsafe(shown));
        };
        self.push(Object::Global(known));
        Ok(())
    }

    fn items(&mut self, value: Value) -> Step<Vec<Value>> {
        let Some(Object::Sequence(items)) = self.object(value) else {
            return Err(EMPTY);
        };
        let items = items.clone();
        self.spend(items.len())?;
        Ok(items)
    }

    /// A persistent id: `("storage", type, key, location, count, …)`.
    fn storage(&mut self) -> Step<()> {
        let id = self.pop()?;
        let items = self.items(id)?;
        let [_, kind, key, ..] = items.as_slice() else {
            return Err(EMPTY);
        };
        let (Some(Object::Global(Known::Storage(dtype))), Some(Object::Text(key))) =
            (self.object(*kind), self.object(*key))
        else {
            return Err(EMPTY);
        };
        let (key, dtype) = (key.clone(), *dtype);
        self.push(Object::Storage { key, dtype });
        Ok(())
    }

    fn call(&mut self) -> Step<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let arguments = self.items(arguments)?;
        let Some(Object::Global(known)) = self.object(function) else {
            return Err(EMPTY);
        };
        match *known {
            Known::Dictionary => {
                let mut made = Vec::new();
                // `OrderedDict([[key, value], …])`
                for pair in arguments
                    .first()
                    .map_or(Ok(Vec::new()), |list| self.items(*list))?
                {
                    let pair = self.items(pair)?;
                    made.extend(pairs(&pair)?);
                }
                self.push(Object::Dictionary(made));
            }
            Known::Parameter => {
                let tensor = *arguments.first().ok_or(EMPTY)?;
                self.stack.push(tensor);
            }
            Known::Tensor => {
                let view = self.view(&arguments)?;
                self.push(Object::Tensor(view));
            }
            Known::Storage(_) => return Err(Stop::Unsafe("a storage of its own making".into())),
        }
        Ok(())
    }

    /// `_rebuild_tensor_v2(storage, offset, sizes, strides, …)`, of which rows without gaps are read.
    fn view(&mut self, arguments: &[Value]) -> Step<View> {
        let [storage, Value::Int(offset), shape, strides, ..] = arguments else {
            return Err(EMPTY);
        };
        let Some(Object::Storage { key, dtype }) = self.object(*storage) else {
            return Err(EMPTY);
        };
        let (key, dtype) = (key.clone(), *dtype);
        let (shape, strides) = (self.sizes(*shape)?, self.sizes(*strides)?);
        let mut dense = 1usize;
        for (size, stride) in shape.iter().zip(&strides).rev() {
            if *size > 1 && *stride != dense {
                return Err(Stop::Damaged("its tensor is not stored row by row"));
            }
            dense = dense.checked_mul(*size).ok_or(EMPTY)?;
        }
        if shape.len() != strides.len() {
            return Err(EMPTY);
        }
        Ok(View {
            key,
            dtype,
            offset: usize::try_from(*offset).map_err(|_| EMPTY)?,
            shape,
        })
    }

    fn sizes(&mut self, value: Value) -> Step<Vec<usize>> {
        let items = self.items(value)?.into_iter();
        items
            .map(|item| match item {
                Value::Int(n) => usize::try_from(n).map_err(|_| EMPTY),
                _ => Err(EMPTY),
            })
            .collect()
    }

    /// Attributes for the object below them: a dictionary takes them as entries, others have none of interest.
    fn build(&mut self) -> Step<()> {
        let state = self.pop()?;
        let entries = match self.object(state) {
            Some(Object::Dictionary(entries)) => entries.clone(),
            _ => return Ok(()),
        };
        self.spend(entries.len())?;
        if let Ok(Object::Dictionary(own)) = self.top() {
            own.extend(entries);
        }
        Ok(())
    }
}

fn pairs(items: &[Value]) -> Step<Vec<(Value, Value)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(EMPTY);
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}
