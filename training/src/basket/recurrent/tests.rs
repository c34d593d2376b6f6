//! Made-up people, so that fitting takes seconds.

use super::{super::*, *};
use crate::basket::fit::fit_methods;
use models::basket::{Candidates, Finder, Method, Population, gated, is_own};
use std::io::Cursor;

/// People who buy one thing often and others in turn.
fn data() -> Data {
    let mut text = "customer,date,item\n".to_owned();
    for user in 0..60_usize {
        for turn in 0..16 {
            let day = turn * 6 + user % 5;
            let date = format!("1970-{:02}-{:02}", 1 + day / 28, 1 + day % 28);
            for item in [user % 4, 4 + (user + turn) % 6, 10 + (user * turn) % 9] {
                text += &format!("{user},{date},{item}\n");
            }
        }
    }
    let purchases = Purchases::read(Cursor::new(text)).unwrap();
    Data::Dated(Dated::new(purchases, Some(79), Some(14)))
}

fn lessons() -> Lessons {
    Lessons::new(&data(), 0, &mut || ()).unwrap()
}

#[test]
fn tract_gives_what_candle_gave() {
    let lessons = lessons();
    let quantiles = quantiles(&lessons).unwrap();
    let pupils = Pupils::new(&lessons, &quantiles);
    let network = train(&pupils, lessons.items, 1, &mut || ()).unwrap();
    let networks = Networks::new(
        quantiles.clone(),
        network.table().unwrap(),
        network.step_onnx().unwrap(),
        network.pairs_onnx().unwrap(),
    );
    // By way of the file.
    let networks = Networks::from_bytes(&networks.unwrap().to_bytes()).unwrap();
    let recurrent = Recurrent::new(networks).unwrap();
    // Several people in one batch: those with fewer baskets are filled up, which must not show.
    let people: Vec<usize> = (0..lessons.pupils.len()).step_by(9).collect();
    let batch = pupils.batch(&people).unwrap();
    let (repeat, explore, gate) = network.logits(&batch, None).unwrap();
    let cut = data().lesson(0, 0);
    let population = Population::new(cut.items, cut.least_baskets, cut.people.clone()).unwrap();
    let mut finder = Finder::new(&population);
    let mut checked = 0;
    for (row, pupil) in people.iter().map(|pupil| &lessons.pupils[*pupil]).enumerate() {
        if pupil.history.now() != cut.people[0].now() {
            continue;
        }
        let found: Candidates = finder.candidates(&pupil.history, Some(pupil.person));
        assert_eq!(found.items, pupil.items);
        let of = |logits: &candle_core::Tensor| {
            logits.get(row).unwrap().to_vec1::<f32>().unwrap()[..found.items.len()].to_vec()
        };
        let own: Vec<bool> = (0..found.items.len()).map(|at| is_own(&found, at)).collect();
        let gate = gate.get(row).unwrap().to_vec1::<f32>().unwrap()[0];
        let expected = gated(&own, &of(&repeat), &of(&explore), gate);
        let given = recurrent.log_probabilities(&pupil.history, &found).unwrap();
        for (given, expected) in given.iter().zip(&expected) {
            assert!((given - expected).abs() < 1e-4, "{given} {expected}");
        }
        // A second person through the same plan: nothing of the first is left.
        assert_eq!(recurrent.log_probabilities(&pupil.history, &found).unwrap(), given);
        checked += 1;
    }
    assert!(checked > 3, "{checked}");
}

#[test]
fn the_loss_is_that_of_what_is_run() {
    let lessons = lessons();
    let quantiles = quantiles(&lessons).unwrap();
    let pupils = Pupils::new(&lessons, &quantiles);
    let network = Network::new(lessons.items, 1).unwrap();
    let people: Vec<usize> = pupils.taught().take(5).collect();
    let batch = pupils.batch(&people).unwrap();
    let (repeat, explore, gate) = network.logits(&batch, None).unwrap();
    let rows = |t: &candle_core::Tensor| t.to_vec2::<f32>().unwrap();
    let (repeat, explore, gate) = (rows(&repeat), rows(&explore), rows(&gate));
    let (own, other, target) = (rows(&batch.own), rows(&batch.other), rows(&batch.target));
    let mut loss = 0.0;
    for person in 0..people.len() {
        let kept: Vec<usize> = (0..own[person].len())
            .filter(|at| own[person][*at] + other[person][*at] > 0.0)
            .collect();
        let of = |values: &[f32]| kept.iter().map(|at| values[*at]).collect::<Vec<f32>>();
        let is_own: Vec<bool> = kept.iter().map(|at| own[person][*at] > 0.0).collect();
        let logs = gated(&is_own, &of(&repeat[person]), &of(&explore[person]), gate[person][0]);
        let targets = of(&target[person]);
        assert!((targets.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        loss -= logs.iter().zip(&targets).map(|(log, t)| log * f64::from(*t)).sum::<f64>() / 5.0;
    }
    let found = f64::from(network.loss(&batch, None).unwrap().to_scalar::<f32>().unwrap());
    assert!((found - loss).abs() < 1e-4, "{found} {loss}");
}

#[test]
fn the_same_lessons_give_the_same_bytes() {
    let mut ticks = 0;
    let mut one = || fit(&lessons(), 7, &mut || ticks += 1).unwrap().networks().to_bytes();
    assert_eq!(one(), one());
    assert!(ticks > 0);
}

#[test]
fn it_learns_habits() {
    let data = data();
    let fitted = fit_methods(&data, 0, &[Method::Recurrent, Method::Mixed], &mut || ()).unwrap();
    let [recurrent, mixed] = &fitted[..] else { panic!("{fitted:?}") };
    let found = judge_cut(&data.cut(0), &[recurrent, mixed], &mut || ()).unwrap();
    // Three of nineteen things: by chance it is half.
    assert!(found.iter().all(|scores| scores.recall10 > 0.7), "{found:?}");
    let model = fit_model(&data, Method::Mixed, &mut || ()).unwrap();
    let text = model.to_json().unwrap();
    assert_eq!(models::basket::Model::from_json(&text).unwrap(), model);
}

#[test]
fn too_few_to_learn_from_is_told() {
    let mut lessons = lessons();
    lessons.pupils.truncate(1);
    let error = fit(&lessons, 7, &mut || ()).unwrap_err();
    assert!(matches!(error, BasketError::Untaught), "{error}");
}
