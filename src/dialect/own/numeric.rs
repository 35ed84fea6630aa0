//! Functions of numerics whose result has no decimals: its type follows from that of the argument.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::cell::{Cell, Kind, Output, arrays_of, cell, collect};
use crate::change::pow10;
use crate::dialect::arguments::over_arrays;

/// The function `name` of a numeric of this precision and scale; `None` when there is none of that name.
pub(in crate::dialect) fn rounding(name: &str, precision: u8, scale: u8) -> Option<ScalarUDF> {
    let rule = match name {
        "ceil" => Rule::Ceil,
        "floor" => Rule::Floor,
        "sign" => Rule::Sign,
        _ => return None,
    };
    let takes = Kind::Numeric { precision, scale };
    let signature = Signature::any(1, Volatility::Immutable);
    Some(ScalarUDF::new_from_impl(Rounding { rule, takes, scale, gives: rule.gives(precision, scale), signature }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Rule {
    Ceil,
    Floor,
    Sign,
}

impl Rule {
    fn gives(self, precision: u8, scale: u8) -> Kind {
        let precision = match self {
            // One more digit than the whole part: 9.5 becomes 10.
            Rule::Ceil | Rule::Floor => (precision - scale + 1).min(DECIMAL128_MAX_PRECISION),
            Rule::Sign => 1,
        };
        Kind::Numeric { precision, scale: 0 }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounding {
    rule: Rule,
    takes: Kind,
    scale: u8,
    gives: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for Rounding {
    fn name(&self) -> &str {
        match self.rule {
            Rule::Ceil => "ceil",
            Rule::Floor => "floor",
            Rule::Sign => "sign",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.gives.arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = pow10(self.scale);
        over_arrays(args, |arrays| {
            let arrays = arrays_of(arrays, &[self.takes])?;
            let results = (0..arrays[0].len()).map(|row| match cell(&arrays[0], self.takes, row) {
                Some(Cell::Numeric(it)) => Ok(Output::Numeric(match self.rule {
                    Rule::Ceil => -(-it).div_euclid(unit),
                    Rule::Floor => it.div_euclid(unit),
                    Rule::Sign => it.signum(),
                })),
                _ => Ok(Output::Null),
            });
            collect(self.gives, results)
        })
    }
}
