//! The pickle of a PyTorch file, read by a machine that runs no code: it knows the few opcodes and the few names of which
//! `torch.save` makes tensors and dictionaries of them, and refuses every other name.
//!
//! Values lie in flat lists and refer to each other by index, so that nesting costs no stack, whatever its depth.

use std::collections::HashMap;

use aberra_metrics::{Error, Result};

/// Values and items that a pickle may make at most; a state dictionary of a thousand tensors makes some ten thousand.
const MOST_VALUES: usize = 1 << 20;
/// Axes of a tensor, and characters of a storage's name, at most: both are copied for every tensor.
const MOST_AXES: usize = 8;
const MOST_KEY: usize = 64;
/// Characters of a text that are repeated in errors.
const SHOWN: usize = 60;

/// A value of a pickle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// None, a fraction, or another value that tells nothing of tensors.
    Other,
    Truth(bool),
    Int(i64),
    Text(usize),
    /// A tuple or a list.
    List(usize),
    Dict(usize),
    Name(Name),
    Storage(usize),
    Tensor(usize),
}

/// The names that mean something here; what they are names of is never called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
}

/// What the elements of a storage are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
    /// An integer or truth value of so many bytes: counted, not read.
    Whole(usize),
}

impl Element {
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
            Self::Whole(bytes) => bytes,
        }
    }
}

/// Where a tensor's elements lie: in the storage of this key, which is said to hold so many.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) element: Element,
    pub(super) count: usize,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Storage,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// What a pickle holds: its value, and all that values refer to.
pub(super) struct Pickle {
    pub(super) root: Value,
    texts: Vec<String>,
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Storage>,
    tensors: Vec<View>,
}

impl Pickle {
    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(at) => Some(&self.texts[at]),
            _ => None,
        }
    }

    pub(super) fn list(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::List(at) => Some(&self.lists[at]),
            _ => None,
        }
    }

    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(at) => Some(&self.dicts[at]),
            _ => None,
        }
    }

    pub(super) fn tensor(&self, value: Value) -> Option<&View> {
        match value {
            Value::Tensor(at) => Some(&self.tensors[at]),
            _ => None,
        }
    }

    /// Every storage that is referred to.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.storages.iter()
    }

    /// A list of lengths or distances.
    fn whole_numbers(&self, value: Value) -> Result<Vec<usize>> {
        let whole = |value: &Value| match value {
            Value::Int(number) => usize::try_from(*number).ok(),
            _ => None,
        };
        let items = self.list(value).filter(|items| items.len() <= MOST_AXES);
        let numbers = items.and_then(|items| items.iter().map(whole).collect());
        numbers.ok_or_else(|| refuse("a tensor whose shape is no list of lengths"))
    }
}

/// Reads the pickle at the beginning of `bytes`, and says how long it is.
///
/// # Errors
/// It is cut off, has an opcode or a name that tensors do not need, or makes more values than a state dictionary does.
pub(super) fn read(bytes: &[u8]) -> Result<(Pickle, usize)> {
    let empty = Pickle {
        root: Value::Other,
        texts: Vec::new(),
        lists: Vec::new(),
        dicts: Vec::new(),
        storages: Vec::new(),
        tensors: Vec::new(),
    };
    let mut machine = Machine {
        rest: bytes,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        made: 0,
        pickle: empty,
    };
    while machine.step()? {}
    let root = machine.pop()?;
    let used = bytes.len() - machine.rest.len();
    Ok((Pickle { root, ..machine.pickle }, used))
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    /// Lengths of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    made: usize,
    pickle: Pickle,
}

impl Machine<'_> {
    /// Does what the next opcode says; `false` at the end.
    fn step(&mut self) -> Result<bool> {
        self.made += 1;
        if self.made > MOST_VALUES {
            return Err(refuse("a pickle of more values than a state dictionary has"));
        }
        let [opcode] = self.take()?;
        match opcode {
            // PROTO, FRAME: of no meaning here.
            0x80 => drop(self.take::<1>()?),
            0x95 => drop(self.take::<8>()?),
            b'.' => return Ok(false),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.items()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.stack.push(Value::Other),
            0x88 | 0x89 => self.stack.push(Value::Truth(opcode == 0x88)),
            // A fraction of eight bytes.
            b'G' => {
                self.take::<8>()?;
                self.stack.push(Value::Other);
            }
            b'J' => {
                let number = i32::from_le_bytes(self.take()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' => {
                let [number] = self.take()?;
                self.stack.push(Value::Int(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.take()?);
                self.stack.push(Value::Int(number.into()));
            }
            0x8a => {
                let [length] = self.take()?;
                let number = long(self.take_many(length.into())?);
                self.stack.push(number);
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b')' | b']' => self.make_list(Vec::new())?,
            b't' | b'l' => {
                let items = self.items()?;
                self.make_list(items)?;
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(opcode - 0x84)).ok_or_else(cut_off)?;
                if self.marks.last().is_some_and(|&mark| mark > from) {
                    return Err(cut_off());
                }
                let items = self.stack.split_off(from);
                self.make_list(items)?;
            }
            b'}' => self.make_dict(),
            b'd' => {
                let items = self.items()?;
                self.make_dict();
                self.set_items(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let items = self.items()?;
                self.append(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.items()?;
                self.set_items(&items)?;
            }
            b'q' => {
                let [at] = self.take()?;
                self.keep(at.into())?;
            }
            b'r' => {
                let at = u32::from_le_bytes(self.take()?);
                self.keep(at)?;
            }
            0x94 => {
                let at = u32::try_from(self.memo.len()).map_err(|_| cut_off())?;
                self.keep(at)?;
            }
            b'h' => {
                let [at] = self.take()?;
                self.recall(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.take()?);
                self.recall(at)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Name(known(&module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |value| self.pickle.text(value).ok_or_else(cut_off);
                let name = known(text(module)?, text(name)?)?;
                self.stack.push(Value::Name(name));
            }
            b'Q' => self.refer()?,
            b'R' => self.call()?,
            // The state of an object: of an ordered dictionary its metadata.
            b'b' => {
                self.pop()?;
                if self.pickle.dict(self.top()?).is_none() {
                    return Err(refuse("a pickle that sets the state of an object"));
                }
            }
            other => {
                return Err(refuse(&format!(
                    "a pickle with the opcode {other:#04x}, which tensors do not need"
                )));
            }
        }
        Ok(true)
    }

    /// `(callable, arguments) -> value`, for the callables whose value is known without calling them.
    fn call(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Value::Name(name) = callable else { return Err(cut_off()) };
        let items = self.pickle.list(arguments).ok_or_else(cut_off)?;
        match (name, items) {
            (Name::OrderedDict, []) => self.make_dict(),
            (Name::RebuildTensor, &[Value::Storage(at), Value::Int(offset), shape, strides, ..]) => {
                let storage = self.pickle.storages[at].clone();
                let (shape, strides) =
                    (self.pickle.whole_numbers(shape)?, self.pickle.whole_numbers(strides)?);
                let offset = usize::try_from(offset).map_err(|_| cut_off())?;
                self.pickle.tensors.push(View { storage, offset, shape, strides });
                self.stack.push(Value::Tensor(self.pickle.tensors.len() - 1));
            }
            (Name::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => self.stack.push(tensor),
            _ => return Err(refuse("a pickle that calls a function with other arguments than a tensor has")),
        }
        Ok(())
    }

    /// A reference out of the pickle: `("storage", type, key, location, count, ...)`.
    fn refer(&mut self) -> Result<()> {
        let reference = self.pop()?;
        let items = self.pickle.list(reference).ok_or_else(cut_off)?;
        let &[kind, Value::Name(Name::Storage(element)), key, _, Value::Int(count), ..] = items else {
            return Err(refuse("a pickle that refers to something that is no storage"));
        };
        let (kind, key) = (self.pickle.text(kind), self.pickle.text(key).filter(|key| key.len() <= MOST_KEY));
        let (Some("storage"), Some(key), Ok(count)) = (kind, key, usize::try_from(count)) else {
            return Err(refuse("a pickle that refers to something that is no storage"));
        };
        let storage = Storage { key: key.to_owned(), element, count };
        self.pickle.storages.push(storage);
        self.stack.push(Value::Storage(self.pickle.storages.len() - 1));
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take_many(&mut self, length: usize) -> Result<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    fn line(&mut self) -> Result<String> {
        let end = self.rest.iter().position(|&byte| byte == b'\n').ok_or_else(cut_off)?;
        let line = String::from_utf8_lossy(self.take_many(end)?).into_owned();
        self.take::<1>()?;
        Ok(line)
    }

    /// A text after its length, of so many bytes.
    fn text(&mut self, length_bytes: usize) -> Result<()> {
        let mut length = [0; 8];
        length[..length_bytes].copy_from_slice(self.take_many(length_bytes)?);
        let length = usize::try_from(u64::from_le_bytes(length)).map_err(|_| cut_off())?;
        let text = String::from_utf8_lossy(self.take_many(length)?).into_owned();
        self.pickle.texts.push(text);
        self.stack.push(Value::Text(self.pickle.texts.len() - 1));
        Ok(())
    }

    /// The value on top; nothing below a mark is.
    fn top(&self) -> Result<Value> {
        match self.stack.last() {
            Some(&top) if self.marks.last().is_none_or(|&mark| self.stack.len() > mark) => Ok(top),
            _ => Err(cut_off()),
        }
    }

    fn pop(&mut self) -> Result<Value> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// What lies above the last mark.
    fn items(&mut self) -> Result<Vec<Value>> {
        let mark = self.marks.pop().ok_or_else(cut_off)?;
        Ok(self.stack.split_off(mark))
    }

    fn make_list(&mut self, items: Vec<Value>) -> Result<()> {
        self.count(items.len())?;
        self.pickle.lists.push(items);
        self.stack.push(Value::List(self.pickle.lists.len() - 1));
        Ok(())
    }

    fn make_dict(&mut self) {
        self.pickle.dicts.push(Vec::new());
        self.stack.push(Value::Dict(self.pickle.dicts.len() - 1));
    }

    fn append(&mut self, items: &[Value]) -> Result<()> {
        self.count(items.len())?;
        let Value::List(at) = self.top()? else { return Err(cut_off()) };
        self.pickle.lists[at].extend_from_slice(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Value]) -> Result<()> {
        self.count(items.len())?;
        let Value::Dict(at) = self.top()? else { return Err(cut_off()) };
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(cut_off());
        }
        self.pickle.dicts[at].extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn count(&mut self, items: usize) -> Result<()> {
        self.made += items;
        if self.made > MOST_VALUES {
            return Err(refuse("a pickle of more values than a state dictionary has"));
        }
        Ok(())
    }

    fn keep(&mut self, at: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn recall(&mut self, at: u32) -> Result<()> {
        let value = self.memo.get(&at).copied().ok_or_else(cut_off)?;
        self.stack.push(value);
        Ok(())
    }
}

/// A number of any length; one that no count needs is some other value, such as the file's magic number.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let is_negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = [if is_negative { 0xff } else { 0 }; 8];
    whole[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(whole))
}

/// # Errors
/// A name that is not one of those of which tensors are made.
fn known(module: &str, name: &str) -> Result<Name> {
    let element = match (module, name) {
        ("collections", "OrderedDict") => return Ok(Name::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => return Ok(Name::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => return Ok(Name::RebuildParameter),
        ("torch", "HalfStorage") => Element::F16,
        ("torch", "BFloat16Storage") => Element::Bf16,
        ("torch", "FloatStorage") => Element::F32,
        ("torch", "DoubleStorage") => Element::F64,
        ("torch", "LongStorage") => Element::Whole(8),
        ("torch", "IntStorage") => Element::Whole(4),
        ("torch", "ShortStorage") => Element::Whole(2),
        ("torch", "CharStorage" | "ByteStorage" | "BoolStorage") => Element::Whole(1),
        _ => {
            let named: String = format!("{module}.{name}").chars().take(SHOWN).collect();
            return Err(refuse(&format!(
                "a pickle that names {named:?}, which no tensor needs and which is not run"
            )));
        }
    };
    Ok(Name::Storage(element))
}

fn cut_off() -> Error {
    refuse("a pickle that is cut off or damaged")
}

/// The error of a file that is no state dictionary.
pub(super) fn refuse(found: &str) -> Error {
    Error::detector(format!("expected a state dictionary of PyTorch, found {found}"))
        .with_hint("save one with torch.save(model.state_dict(), \"model.pth\")")
}
